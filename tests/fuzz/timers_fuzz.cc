#include <algorithm>

#include "fuzz_target.h"
#include "proc/timers.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto timers = ParseTimers(input);
  if (!timers) return timers.Fail();
  BATON_CHECK(timers->size() <= static_cast<size_t>(std::ranges::count(input, '\n')) / 4 + 1);
  return {};
}

}  // namespace baton
