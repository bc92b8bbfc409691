#include "task/borrowed_task.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <csignal>

#include "base/fault.h"
#include "base/log.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

// The middle of the largest hole: far from whatever may grow (heap, stack) while the program runs.
RemotePtr<> LargestHole(const std::vector<MapsEntry>& maps) {
  constexpr uint64_t kPage = 4096;
  uint64_t best = 0;
  uint64_t best_size = 0;
  for (size_t i = 0; i + 1 < maps.size(); ++i) {
    const uint64_t size = maps[i + 1].start - maps[i].end;
    if (size <= best_size || maps[i + 1].path == "[vsyscall]") continue;
    best_size = size;
    best = maps[i].end + size / 2 / kPage * kPage;
  }
  return RemotePtr<>(best_size > 2 * InjectionPlace::kScratchBytes ? best : 0);
}

}  // namespace

Result<InjectionPlace> InjectionPlace::Find(const RemoteMemory& memory, const std::vector<MapsEntry>& maps) {
  const auto vdso = std::ranges::find(maps, "[vdso]", &MapsEntry::path);
  if (vdso == maps.end()) {
    return MakeError(ErrorCode::kNotSupported, "process {} has no vDSO: there is no place to run our system calls",
                     memory.pid());
  }
  std::vector<std::byte> image(vdso->size());
  BATON_CHECKED(memory.Read(RemotePtr<>(vdso->start), image));
  const std::optional<size_t> gap = FindCodeGap(image);
  InjectionPlace place;
  place.scratch = LargestHole(maps);
  if (!gap || place.scratch.is_null()) {
    return MakeError(ErrorCode::kNotSupported, "process {} has no room for {} bytes of code in its vDSO", memory.pid(),
                     kStubCodeMaxBytes);
  }
  place.code = RemotePtr<>(vdso->start + *gap);
  return place;
}

int ChooseMarkerSignal(const ProcStatus& leader) {
  constexpr int kDefaultIgnored[] = {SIGURG, SIGWINCH, SIGCHLD};
  const uint64_t busy = leader.sig_cgt | leader.sig_blk | leader.sig_pnd | leader.shd_pnd;
  for (const int signal : kDefaultIgnored) {
    if ((busy & Bit(signal)) == 0) return signal;
  }
  for (const int signal : kDefaultIgnored) {
    if ((leader.sig_cgt & Bit(signal)) == 0) return signal;
  }
  return SIGURG;  // caught: should we die in the wrong microsecond, its handler runs once for nothing
}

BorrowedTask::BorrowedTask(const RemoteMemory& memory, const InjectionPlace& place, const Thread& thread,
                           InjectionSite site)
    : memory_(memory),
      place_(place),
      thread_(thread),
      calls_(thread.tid, memory, std::move(site), thread.registers, thread.marker) {}

Result<> BorrowedTask::Borrow(std::optional<BorrowedTask>& into, const RemoteMemory& memory,
                              const InjectionPlace& place, const Thread& thread) {
  InjectionSite site;
  site.code = place.code;
  site.stub = BuildStubCode({thread.healed, thread.signal_mask, place.scratch, InjectionPlace::kScratchBytes});
  site.data = place.scratch;
  site.data_bytes = InjectionPlace::kScratchBytes;
  into.emplace(memory, place, thread, std::move(site));
  auto entered = into->Enter();
  if (!entered) into.reset();
  return entered;
}

// The order matters for a tracer that dies in between: the code is there before the thread can reach it, and its mask
// is blocked only once the thread is sure to run the code that unblocks it.
Result<> BorrowedTask::Enter() {
  BATON_CHECKED(FailPoint("inject.enter"));
  BATON_CHECKED(memory_.Write(place_.code, calls_.site().stub.bytes));
  entered_ = true;
  const RemoteCall nothing{SYS_getpid};
  BATON_CHECKED(SetRegisters(thread_.tid,
                             EnterSingle(thread_.registers, place_.code, calls_.site().stub, nothing, thread_.marker)));
  BATON_CHECKED(SetSignalMask(thread_.tid, ~Bit(thread_.marker.signal)));
  RemoteCall map{SYS_mmap,
                 {place_.scratch.value(), InjectionPlace::kScratchBytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~uint64_t{0}, 0}};
  BATON_CHECKED(calls_.RunOne(map));
  if (map.result < 0) {
    return ErrnoError(static_cast<int>(-map.result), "map scratch memory in process {}", memory_.pid());
  }
  mapped_ = true;
  return FailPoint("inject.mapped");
}

Result<> BorrowedTask::Return() {
  if (!entered_) return {};
  if (mapped_) {
    RemoteCall unmap{SYS_munmap, {place_.scratch.value(), InjectionPlace::kScratchBytes}};
    BATON_CHECKED(calls_.RunOne(unmap));
    mapped_ = false;
  }
  return PutBack();
}

// Mask first: with its mask unblocked the thread still runs our code; the other way round it would run its own, deaf.
Result<> BorrowedTask::PutBack() {
  entered_ = false;
  BATON_CHECKED(SetSignalMask(thread_.tid, thread_.signal_mask));
  BATON_CHECKED(SetRegisters(thread_.tid, thread_.registers));
  BATON_CHECKED(Park());
  BATON_CHECKED(memory_.Write(place_.code, std::vector<std::byte>(kStubCodeMaxBytes)));
  if (calls_.stop_owed()) kill(thread_.tid, SIGSTOP);
  return {};
}

Result<> BorrowedTask::Park() {
  BATON_CHECKED(Interrupt(thread_.tid));
  BATON_CHECKED(Continue(thread_.tid));
  while (true) {
    BATON_TRY(const WaitStatus status, WaitFor(thread_.tid));
    if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "task {} died", thread_.tid);
    if (status.EventStop()) return {};
    BATON_CHECKED(Continue(thread_.tid));
  }
}

BorrowedTask::~BorrowedTask() {
  if (auto returned = Return(); !returned) BATON_LOG(kWarn, "{}", returned.error().ToString());
}

}  // namespace baton
