// eventfd(2): the counter, EFD_SEMAPHORE and O_NONBLOCK. Nothing else is in one.
//
// Sources: fdinfo ("eventfd-count", "eventfd-semaphore"), fs/eventfd.c.
#pragma once

#include <memory>

#include "resource/kind.h"

namespace baton {

std::unique_ptr<ResourceKind> MakeEventfdKind();

// Whether `fd` is a semaphore, for kernels that do not show it: looks by reading and writing, and leaves the counter at
// `count`, which it must be. Whoever polls it edge-triggered may see one event more.
Result<bool> IsSemaphoreEventfd(int fd, uint64_t count);

}  // namespace baton
