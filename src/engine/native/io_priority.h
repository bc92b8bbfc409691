// What ioprio_get(2) and ioprio_set(2) need, which the C library does not have. Debian's <linux/ioprio.h> of 6.1.192 is
// not C++ (it names a parameter `class`). Thread-safety: a constant.
#pragma once

namespace baton {

constexpr int kIoPriorityWhoProcess = 1;  // IOPRIO_WHO_PROCESS: by thread id

}  // namespace baton
