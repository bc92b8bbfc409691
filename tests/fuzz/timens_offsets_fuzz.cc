#include "fuzz_target.h"
#include "proc/timens_offsets.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto offsets = ParseTimensOffsets(input);
  if (!offsets) return offsets.Fail();
  for (const TimensOffset& offset : {offsets->monotonic, offsets->boottime}) {
    BATON_CHECK(offset.nanoseconds >= 0 && offset.nanoseconds < 1'000'000'000);
  }
  return {};
}

}  // namespace baton
