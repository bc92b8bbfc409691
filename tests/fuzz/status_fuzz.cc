#include "fuzz_target.h"
#include "proc/status.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto status = ParseStatus(input);
  if (!status) return status.Fail();
  for (const auto& [key, value] : status->others) {
    BATON_CHECK(key.find(':') == std::string::npos && value.find('\n') == std::string::npos);
    BATON_CHECK(status->Find(key) != nullptr);
  }
  BATON_CHECK(status->Find("Name") == nullptr && !status->cpus_allowed.starts_with(' '));
  return {};
}

}  // namespace baton
