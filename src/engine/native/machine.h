// What of the machine a unit depends on: extended register state, the vDSO's code, names.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "engine/native/native.pb.h"

namespace baton {

// Fills the machine's part of the record, as the process `pid` has it.
Result<> DescribeMachine(pid_t pid, pb::UnitRecord& record);

// Can a unit that was saved on such a machine go on here? kNotSupported with what differs.
Result<> CheckMachine(const pb::UnitRecord& record);

}  // namespace baton
