#include "fuzz_target.h"
#include "pool/wire/convert.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  pb::WorkerReport wire;
  if (!wire.ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    return MakeError(ErrorCode::kCorrupt, "no message");
  }
  auto report = FromWire(wire);
  if (!report) return report.Fail();
  // What was taken is taken again.
  BATON_CHECK(FromWire(ToWire(*report)).has_value());
  return {};
}

}  // namespace baton
