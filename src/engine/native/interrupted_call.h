// A system call that the freeze interrupted: what the image says of it, how the living thread goes on, and how a
// restored thread takes it up again. The aim: no EINTR the program would not have seen, no sleep made shorter or
// longer.
//
// Three cases (task/arch registers.h, ClassifyInterrupted):
//  - restart: made again with the same arguments, by the kernel in the living thread, by us in the restored one;
//  - restart block: the kernel keeps the deadline of the living thread. In the image we keep number, arguments and the
//  time
//    left; the restored thread makes the call anew with that time under our control, is interrupted again, and so gets
//    a restart block of its own;
//  - leaked EINTR: a signal really came (else broken_off_call.h has wound the call back already): the program sees it.
#pragma once

#include "base/result.h"
#include "engine/native/call_memory.h"
#include "engine/native/frozen_task.h"
#include "engine/native/native.pb.h"
#include "task/remote_memory.h"

namespace baton {

Result<> CaptureInterruptedCall(pid_t pid, const FrozenTask& task, pb::ThreadRecord& record, CallMemory& memory);

// What is to be remembered of a call that the kernel now holds in a restart block. `registers`: at the stop.
CallMemory::Entry RememberedCall(const pb::InterruptedCallRecord& call, const Registers& registers,
                                 uint64_t start_time);

// Registers ready to run without the kernel's help: for a thread whose tracer dies.
Registers HealedRegisters(const Registers& registers);

}  // namespace baton
