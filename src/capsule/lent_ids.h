// The ids that a capsule will have, before there is one: for the files of its job.
//
// Sources: user_namespaces(7). Thread-safety: one thread at a time per object.
#pragma once

#include <sys/types.h>

#include "base/result.h"

namespace baton {

// A process in a user namespace with our own ids and those that /etc/subuid and /etc/subgid lend us, for
// namespace_visit.h; it ends with this object, and with us.
class LentIds {
 public:
  // Without lent ids, or for root, pid() is our own. kIo if there is no room for a process.
  static Result<LentIds> Borrow();
  LentIds(LentIds&& other) noexcept;
  LentIds& operator=(LentIds&&) = delete;
  ~LentIds();

  pid_t pid() const { return pid_; }

 private:
  explicit LentIds(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

}  // namespace baton
