// struct sched_attr of sched_setattr(2): glibc 2.36 lacks it, and <linux/sched/types.h> clashes with <sched.h>.
#pragma once

#include <cstdint>

namespace baton {

struct SchedAttributes {
  uint32_t size = 48;  // SCHED_ATTR_SIZE_VER0
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
};
static_assert(sizeof(SchedAttributes) == 48);

inline constexpr uint64_t kSchedFlagResetOnFork = 1;
inline constexpr uint32_t kSchedDeadline = 6;

}  // namespace baton
