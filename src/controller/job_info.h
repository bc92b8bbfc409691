// Rows of the pool as people are shown them.
//
// Thread-safety: free functions.
#pragma once

#include <string>

#include "controller/db/database.h"
#include "pool/decide/controller_state.h"
#include "rpc/pool_service.pb.h"

namespace baton {

pb::JobInfo ToInfo(const pool::ControllerState& state, const pool::Job& job, const RowTimes& times);
pb::AttemptInfo ToInfo(const AttemptRow& row);
pb::CheckpointInfo ToInfo(const CheckpointRow& row);
pb::HistoryInfo ToInfo(const HistoryRow& row);
pb::WorkerInfo ToInfo(const pool::ControllerState& state, const pool::Worker& worker, pool::Instant now);

}  // namespace baton
