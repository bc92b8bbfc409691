// The ids that a capsule will have, before there is one: for the files of its job.
//
// Sources: user_namespaces(7). Thread-safety: free function.
#pragma once

#include <functional>

#include "base/result.h"

namespace baton {

// Runs `visit` with rights over the files of the ids that /etc/subuid and /etc/subgid lend us, as namespace_visit.h
// does: in a user namespace made for it. Without lent ids, or for root, or where no such namespace can be made (the
// capsule will say why), this is an ordinary call. Errors: those of `visit`; kIo if there is no room for a process.
Result<> WithLentIds(const std::function<Result<>()>& visit);

}  // namespace baton
