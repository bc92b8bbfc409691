// Makes all processes of a unit, blank, with their numbers, parents, sessions and groups, by carrying out the plan of
// src/tree.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/native/unit_image.h"
#include "task/blank_task.h"

namespace baton {

// By number, zombies included. On failure everything made is killed and reaped.
using BlankProcesses = std::map<pid_t, std::unique_ptr<BlankTask>>;
Result<> MakeProcesses(const UnitImage& image, const BootArea& boot, const RestoreRequest& request,
                       BlankProcesses& made);

}  // namespace baton
