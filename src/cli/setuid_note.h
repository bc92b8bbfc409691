// What a user must know of a command before it runs: in a job of an ordinary user there are only his own ids, and those
// that /etc/subuid lends him, so that a program with the setuid or setgid bit of somebody else gains nothing by it.
//
// Thread-safety: free functions. Sources: user_namespaces(7), execve(2).
#pragma once

#include <string>

namespace baton {

// The note for `program`, searched in PATH as execvp(3) does; empty where there is nothing to say (also for root).
std::string SetuidNote(const std::string& program);

}  // namespace baton
