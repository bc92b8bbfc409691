// A few system calls made by us in the namespaces of another process, in this address space: what is mapped by them
// (shmat(2)) or opened stays so here afterwards.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/result.h"

namespace baton {

// Whether two processes are in one namespace of this name ("ipc", as in /proc/PID/ns). True if that cannot be seen.
bool ShareNamespace(pid_t a, pid_t b, const char* name);

// Runs `visit` in the user namespace of `pid`, where we have all rights over what is of the ids mapped into it. For the
// rest as the next one.
Result<> InUserNamespaceOf(pid_t pid, const std::function<Result<>()>& visit);
// Runs `visit` with rights over the files of every user there can be in the unit of `pid`: in its user namespace, if
// that has more ids than our own, else here, as for root, who has them all.
Result<> WithIdsOf(pid_t pid, const std::function<Result<>()>& visit);
// Runs `visit` in the IPC namespace of `pid`, and in its user namespace, so that we may all there. If it is in ours,
// this is an ordinary call; else a child that shares our memory makes it, while this thread waits: `visit` may use and
// change everything, but must not start threads, exit, or rely on the number of its thread.
// Errors: those of `visit`; of setns(2) where we have no right to go there.
Result<> InIpcNamespaceOf(pid_t pid, const std::function<Result<>()>& visit);
// The same in its mount namespace too. REQUIRES: it does not share our IPC namespace.
Result<> InIpcAndMountNamespaceOf(pid_t pid, const std::function<Result<>()>& visit);

}  // namespace baton
