// Makes all processes of a unit, blank, with their numbers, parents, sessions and groups, by carrying out the plan of
// src/tree.
//
// Temporary processes are among the made ones while they live and gone at the end. Where an orphan must become a child
// of ours (no capsule), we are a subreaper meanwhile.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/native/unit_image.h"
#include "task/blank_task.h"

namespace baton {

// A pseudo terminal that was made with the session it belongs to, since it is inherited by birth only.
struct SessionTerminal {
  uint32_t number = 0;  // as in the image
  pid_t leader = 0;     // the process that holds its ends, by these descriptors
  int master = -1;
  int slave = -1;
};

// By number, zombies included: these are still alive, and ready to end by BlankTask::Exit with their status, without a
// core dump. On failure the caller kills and reaps what is in `made`.
// Errors: kCorrupt and kNotSupported as tree/plan.h; kConflict if a number is taken; kNotSupported if the session or
// group is one outside the unit and the request does not allow the restoring shell's.
// `threads`: those with descriptors or directories that are not their process', by number. They must be reaped before
// their process is.
using BlankProcesses = std::map<pid_t, std::unique_ptr<BlankTask>>;
using BlankThreads = std::map<pid_t, std::unique_ptr<BlankTask>>;
Result<> MakeProcesses(const UnitImage& image, const BootArea& boot, const RestoreRequest& request,
                       BlankProcesses& made, BlankThreads& threads, std::vector<SessionTerminal>& terminals);

}  // namespace baton
