#include "fuzz_target.h"
#include "proc/children.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto children = ParseChildren(input);
  if (!children) return children.Fail();
  for (const pid_t child : *children) BATON_CHECK(child > 0);
  return {};
}

}  // namespace baton
