// The ids that /etc/subuid and /etc/subgid lend to an ordinary user, put into the user namespace of a capsule.
//
// Sources: subuid(5), newuidmap(1), user_namespaces(7). Thread-safety: free functions.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "proc/subordinate_ids.h"

namespace baton {

struct SubordinateIds {
  std::vector<IdRange> users;
  std::vector<IdRange> groups;
};

// Those of the caller. Empty where the system has no newuidmap and newgidmap, or does not know the caller by name, or
// for root. `etc` is for tests.
SubordinateIds FindSubordinateIds(const std::string& etc = "/etc");

// Has the two programs put ids into the maps of this process: its own to themselves, and the subordinate ones to
// themselves, too. They must be run by somebody who is outside of the user namespace: a child that is made before.
class OutsideMapper {
 public:
  struct Done {
    bool users = false;
    bool groups = false;
  };

  // REQUIRES: one thread. kIo if there is no room for a process.
  static Result<OutsideMapper> Start(const SubordinateIds& ids);
  OutsideMapper(OutsideMapper&& other) noexcept;
  OutsideMapper& operator=(OutsideMapper&&) = delete;
  ~OutsideMapper();

  // REQUIRES: this process is in its new user namespace. What was not done can still be done otherwise.
  Done Map();

 private:
  OutsideMapper(pid_t child, int go) : child_(child), go_(go) {}
  pid_t child_;
  int go_;  // -1: moved from
};

}  // namespace baton
