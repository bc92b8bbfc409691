#include "fuzz_target.h"
#include "proc/stat.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto stat = ParseStat(input);
  if (!stat) return stat.Fail();
  BATON_CHECK(input.find("(" + stat->comm + ")") != std::string_view::npos);
  return {};
}

}  // namespace baton
