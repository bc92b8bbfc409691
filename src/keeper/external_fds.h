// What becomes of descriptors whose other side is not part of the unit: --external fd:N=inherit|close.
//
//   checkpoint  the file behind descriptor N of the tree's first process is not saved, only a name for it ("fd:N", or
//               "fd:N=close"); so are all descriptors of the tree that share that open file or that pipe
//   restore     "inherit": descriptor N of the restoring process takes its place; "close": nothing does
//
// Thread-safety: plain values and free functions. Errors: kInvalidArgument with the text that is wrong.
#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "engine/engine.h"

namespace baton {

struct ExternalRule {
  int fd = -1;
  bool close = false;
};

// "fd:1=inherit", "fd:0=close".
Result<ExternalRule> ParseExternalRule(const std::string& text);

// The externals of a capture, with the copies of the tree's descriptors that they borrow.
struct CaptureExternals {
  std::vector<ExternalFd> externals;
  std::vector<UniqueFd> copies;
};

// The descriptors of process `pid` that `rules` name; with `shell_job` also 0, 1 and 2 as far as they are terminals or
// pipes and no rule names them. A pipe whose other end one of `members` has is no outside one. kNotFound for a rule
// about a descriptor that is not there.
Result<CaptureExternals> FindExternals(pid_t pid, const std::vector<ExternalRule>& rules, bool shell_job,
                                       const std::set<pid_t>& members = {});

// What takes the place of each of an image's externals: by its own rule, else as at the checkpoint. "stdin", "stdout"
// and "stderr", which jobs of `baton run` have, are ours. kInvalidArgument where ours is not open, or nothing is known
// of the name.
Result<std::map<std::string, int>> PlaceExternals(const std::vector<std::string>& names,
                                                  const std::vector<ExternalRule>& rules);

}  // namespace baton
