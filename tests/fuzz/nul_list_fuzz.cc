#include "fuzz_target.h"
#include "proc/nul_list.h"

namespace baton {

// Joined again, the strings are the bytes.
Result<> FuzzOne(std::string_view input) {
  std::string joined;
  for (const auto& part : SplitNulList(input)) joined += part + '\0';
  if (!input.ends_with('\0') && !joined.empty()) joined.pop_back();
  BATON_CHECK(joined == input);
  return {};
}

}  // namespace baton
