#include "fuzz_target.h"
#include "pool/wire/convert.h"

namespace baton {

// What a worker hears of a keeper.
Result<> FuzzOne(std::string_view input) {
  pb::FromKeeper packet;
  if (!packet.ParseFromArray(input.data(), static_cast<int>(input.size())) || !packet.has_report()) {
    return MakeError(ErrorCode::kCorrupt, "no report");
  }
  auto report = FromWire(packet.report().report());
  if (!report) return report.Fail();
  BATON_CHECK(report->unit.job != 0 && report->unit.epoch != 0);
  return {};
}

}  // namespace baton
