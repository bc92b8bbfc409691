#include "fuzz_target.h"
#include "proc/cgroup.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto groups = ParseCgroup(input);
  if (!groups) return groups.Fail();
  for (const ProcCgroup& group : *groups) BATON_CHECK(group.hierarchy_id >= 0 && group.path.starts_with('/'));
  return {};
}

}  // namespace baton
