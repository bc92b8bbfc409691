#include "fuzz_target.h"
#include "pool/wire/convert.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  pb::WorkerOrders wire;
  if (!wire.ParseFromArray(input.data(), static_cast<int>(input.size()))) {
    return MakeError(ErrorCode::kCorrupt, "no message");
  }
  auto orders = FromWire(wire);
  if (!orders) return orders.Fail();
  // What was taken is taken again.
  BATON_CHECK(FromWire(ToWire(*orders)).has_value());
  return {};
}

}  // namespace baton
