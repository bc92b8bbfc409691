// A living program's thread, borrowed for a few system calls and given back as it was.
//
// From construction to Return (or the destructor) the thread runs our code, in unused bytes of its vDSO, with two
// scratch pages mapped and its signals blocked. Everything is put back; and if this process dies at any moment in
// between, the thread puts everything back by itself (stub_code.h), except that unused vDSO bytes keep dead code, which
// the next borrower replaces.
//
// At most one thread of a process may be borrowed at a time. Not copyable, not movable, not heap-allocated.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "proc/maps.h"
#include "proc/status.h"
#include "task/remote_syscalls.h"

namespace baton {

// Where in one process code can be injected: found once per freeze, for all threads of it.
struct InjectionPlace {
  RemotePtr<> code;     // in the vDSO, between zeros that nobody uses
  RemotePtr<> scratch;  // an unmapped range

  static constexpr size_t kScratchBytes = 3 * 4096;

  // kNotSupported if the process has no vDSO, or no room in it.
  static Result<InjectionPlace> Find(const RemoteMemory& memory, const std::vector<MapsEntry>& maps);
};

// A signal the process ignores, best one that no thread blocks; used to mark the end of a batch.
int ChooseMarkerSignal(const ProcStatus& leader);

class BorrowedTask {
 public:
  // What must be put back: `registers` with which the thread goes on when the tracer lives (they may still say that a
  // system call was interrupted), and `healed`, ready to run, for when it does not.
  struct Thread {
    pid_t tid = 0;
    Registers registers;
    Registers healed;
    uint64_t signal_mask = 0;
    Marker marker;
  };

  // REQUIRES: the thread is in a ptrace stop; `memory` and `place` outlive this object.
  static Result<> Borrow(std::optional<BorrowedTask>& into, const RemoteMemory& memory, const InjectionPlace& place,
                         const Thread& thread);
  BorrowedTask(const RemoteMemory& memory, const InjectionPlace& place, const Thread& thread, InjectionSite site);
  ~BorrowedTask();
  BorrowedTask(const BorrowedTask&) = delete;
  BorrowedTask& operator=(const BorrowedTask&) = delete;
  static void* operator new(size_t) = delete;
  static void* operator new(size_t, void* at) { return at; }

  RemoteSyscalls& calls() { return calls_; }

  // Gives the thread back: it is then parked in a PTRACE_EVENT_STOP with its own registers and mask, in which the death
  // of the tracer harms nothing.
  Result<> Return();

 private:
  Result<> Enter();
  Result<> PutBack();
  Result<> Park();

  const RemoteMemory& memory_;
  const InjectionPlace& place_;
  Thread thread_;
  RemoteSyscalls calls_;
  bool entered_ = false;
  bool mapped_ = false;
};

}  // namespace baton
