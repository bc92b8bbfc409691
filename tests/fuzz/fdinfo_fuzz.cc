#include "fuzz_target.h"
#include "proc/fdinfo.h"

namespace baton {

// The rows of pairs are taken apart too: a kind would do so next.
Result<> FuzzOne(std::string_view input) {
  auto info = ParseFdInfo(input);
  if (!info) return info.Fail();
  for (const FdInfo::Field& field : info->fields) {
    BATON_CHECK(field.first.find(':') == std::string::npos && info->Find(field.first) != nullptr);
    BATON_CHECK(!info->FindAll(field.first).empty());
    const auto parts = SplitFdInfoField(field);
    CheckAnswer(Outcome(parts));
    BATON_CHECK(!parts || parts->front().first == field.first);
  }
  return {};
}

}  // namespace baton
