#include <cmath>

#include "fuzz_target.h"
#include "proc/sched.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto sched = ParseSched(input);
  if (!sched) return sched.Fail();
  BATON_CHECK(sched->Find("nr_switches").has_value());
  for (const auto& [key, value] : sched->values) BATON_CHECK(std::isfinite(value) && sched->Find(key).has_value());
  return {};
}

}  // namespace baton
