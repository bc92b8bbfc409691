// A blank stub: the process that an engine turns into a restored one. It is a fork that has given up what it need not
// have and then waits in pause(2) for ever, until a tracer drives it:
//   - dumpable (prctl PR_SET_DUMPABLE 1), so that its owner may trace it and read all of /proc/PID;
//   - every signal at its default action and unblocked, none pending, no alternate stack;
//   - descriptors 0, 1, 2 of its maker (where open) and no others;
//   - its restartable sequence (rseq) unregistered, no robust list, no clear_child_tid;
//   - named "baton-stub"; no parent-death signal. Session and process group are its maker's.
// Its address space is a copy of its maker's: the engine unmaps it.
//
// Thread-safety: REQUIRES that no other thread of the caller holds a lock the C library needs (fork).
#pragma once

#include <sys/types.h>

#include <optional>

#include "base/result.h"

namespace baton {

// Makes a stub as a child of the calling process and returns its number in the caller's pid namespace; with `ns_pid`
// it has that number there, which needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN over the namespace. The stub does not
// die with the caller. Its death sends SIGCHLD. Returns when the stub is as described above.
// Errors: kConflict if the number is taken; kInvalidArgument if it is above kernel.pid_max; else as fork(2), clone3(2).
Result<pid_t> SpawnLocalStub(std::optional<pid_t> ns_pid);

}  // namespace baton
