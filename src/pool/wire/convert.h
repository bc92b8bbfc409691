// Between the messages of pool/decide and their bytes. What comes from outside is checked field by field: a message
// that is taken is one that the decisions can work with.
//
// Thread-safety: free functions. Errors: kCorrupt for what makes no sense, kNotSupported for another version.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "pool/decide/messages.h"
#include "pool/decide/worker.h"
#include "pool/wire/keeper_link.pb.h"
#include "pool/wire/pool.pb.h"

namespace baton {

inline constexpr uint32_t kPoolVersion = 1;

// The pool's id is not part of what is decided, and goes beside.
pb::WorkerReport ToWire(const pool::WorkerReport& report);
Result<pool::WorkerReport> FromWire(const pb::WorkerReport& wire);
pb::WorkerOrders ToWire(const pool::WorkerOrders& orders);
Result<pool::WorkerOrders> FromWire(const pb::WorkerOrders& wire);

pb::UnitReport ToWire(const pool::KeeperReport& report);
Result<pool::KeeperReport> FromWire(const pb::UnitReport& wire);
pb::KeeperInstruction ToWire(const pool::Instruction& instruction);
Result<pool::Instruction> FromWire(const pb::KeeperInstruction& wire);

}  // namespace baton
