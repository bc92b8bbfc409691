// Pid 1 of a capsule: a forked child of the keeper that runs this code. It starts what the keeper asks for, reaps
// everything, reports the ends that matter, and ends the capsule when the job's root process has ended: what is left
// gets SIGTERM, five seconds, SIGKILL. It is made anew for every attempt and never part of an image.
//
// Invariants
//  1. Init dies when the keeper does: by its parent-death signal, and by the end of its channel should that be missed.
//     Its death ends every process of the capsule (pid_namespaces(7)).
//  2. Descriptors: 0, 1, 2 for the job, 3 the channel, 4 its signalfd; what it starts gets only the first three.
//  3. It has all signals blocked; nothing in the capsule can disturb it.
#pragma once

#include "base/result.h"
#include "capsule/capsule_options.h"
#include "capsule/init_channel.h"

namespace baton {

// Runs init until the capsule ends; never returns. `channel` is init's end; the keeper's end must be closed in this
// process already. REQUIRES: called in the child that is pid 1 of its namespace, single-threaded.
[[noreturn]] void RunInit(const CapsuleOptions& options, InitChannel channel);

}  // namespace baton
