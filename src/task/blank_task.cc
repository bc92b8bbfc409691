#include "task/blank_task.h"

#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include <csignal>

#include "base/fault.h"
#include "proc/process_files.h"
#include "task/borrowed_task.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr uint64_t kOptions =
    PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACESYSGOOD;
constexpr uint64_t kUserSpaceEnd = 0x7ffffffff000;
constexpr uint64_t kAllButMarker = ~(uint64_t{1} << (BlankTask::kMarkerSignal - 1));
static_assert(BlankTask::kMarkerSignal == SIGURG);

InjectionSite SiteIn(const BootArea& boot) {
  InjectionSite site;
  site.code = boot.code();
  site.stub = BuildStubCode({});
  site.data = boot.data();
  site.data_bytes = BootArea::kDataBytes;
  return site;
}

Result<> WaitForFirstStop(pid_t tid) {
  while (true) {
    BATON_TRY(const WaitStatus status, WaitFor(tid));
    if (status.Gone()) return MakeError(ErrorCode::kTaskGone, "new task {} died", tid);
    if (status.EventStop()) return {};
    BATON_CHECKED(Continue(tid));
  }
}

// Maps the boot area by one call from the vDSO the stub still has.
Result<> MapBootArea(pid_t pid, const RemoteMemory& memory, const BootArea& boot, const Registers& base,
                     const Marker& marker) {
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(pid));
  BATON_TRY(const InjectionPlace place, InjectionPlace::Find(memory, maps));
  InjectionSite site;
  site.code = place.code;
  site.stub = BuildStubCode({});
  BATON_CHECKED(memory.Write(place.code, site.stub.bytes));
  RemoteSyscalls calls(pid, memory, std::move(site), base, marker);
  BATON_CHECKED(calls.Do("map the boot area", SYS_mmap, boot.start.value(), BootArea::kBytes,
                         PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  return {};
}

}  // namespace

BlankTask::BlankTask(pid_t tid, std::shared_ptr<RemoteMemory> memory, InjectionSite site, const Registers& base,
                     Marker marker)
    : memory_(std::move(memory)), base_(base), marker_(marker), calls_(tid, *memory_, std::move(site), base, marker) {}

Result<std::unique_ptr<BlankTask>> BlankTask::TakeStub(pid_t host_pid, pid_t ns_pid, const BootArea& boot) {
  auto task = Take(host_pid, ns_pid, boot);
  if (task) return task;
  kill(host_pid, SIGKILL);
  while (true) {  // ours to reap if it is our child or was seized already
    const auto status = WaitFor(host_pid);
    if (!status || status->Gone()) return task;
  }
}

Result<std::unique_ptr<BlankTask>> BlankTask::Take(pid_t host_pid, pid_t ns_pid, const BootArea& boot) {
  BATON_CHECKED(FailPoint("restore.take_stub"));
  BATON_CHECKED(Seize(host_pid, kOptions));
  BATON_CHECKED(Interrupt(host_pid));
  BATON_CHECKED(WaitForFirstStop(host_pid));
  BATON_CHECKED(SetSignalMask(host_pid, kAllButMarker));
  BATON_TRY(Registers base, GetRegisters(host_pid));
  base.set_stack(RemotePtr<>());  // no signal is ever delivered; and an alternate stack must not seem to be in use
  BATON_TRY(RemoteMemory memory, RemoteMemory::Open(host_pid));
  const Marker marker{ns_pid, ns_pid, kMarkerSignal};
  BATON_CHECKED(MapBootArea(host_pid, memory, boot, base, marker));
  auto shared = std::make_shared<RemoteMemory>(std::move(memory));
  InjectionSite site = SiteIn(boot);
  BATON_CHECKED(shared->Write(boot.code(), site.stub.bytes));
  std::unique_ptr<BlankTask> task(new BlankTask(host_pid, std::move(shared), std::move(site), base, marker));
  const uint64_t end = (boot.start + BootArea::kBytes).value();
  BATON_CHECKED(task->calls().Do("unmap below the boot area", SYS_munmap, 0, boot.start.value()));
  BATON_CHECKED(task->calls().Do("unmap above the boot area", SYS_munmap, end, kUserSpaceEnd - end));
  return task;
}

Result<std::unique_ptr<BlankTask>> BlankTask::Fork(BlankTask& parent, pid_t ns_pid, const ForkOptions& options) {
  clone_args args{};
  args.flags = options.flags;
  // clone3(2): a brother sends what its maker sends.
  args.exit_signal = (options.flags & CLONE_PARENT) != 0 ? 0 : static_cast<uint64_t>(options.exit_signal);
  RemoteSyscalls& calls = parent.calls();
  calls.ResetArguments();
  if (ns_pid != 0) {
    BATON_TRY(const RemotePtr<pid_t> wanted, calls.PutValue(ns_pid));
    args.set_tid = wanted.value();
    args.set_tid_size = 1;
  }
  BATON_TRY(const RemotePtr<clone_args> at, calls.PutValue(args));
  return Adopt(parent, {SYS_clone3, {at.value(), sizeof args}}, ns_pid, false);
}

Result<std::unique_ptr<BlankTask>> BlankTask::Clone(BlankTask& maker, pid_t ns_tid, uint64_t shared) {
  clone_args args{};
  args.flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | shared;
  RemoteSyscalls& calls = maker.calls();
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<pid_t> wanted, calls.PutValue(ns_tid));
  args.set_tid = wanted.value();
  args.set_tid_size = 1;
  BATON_TRY(const RemotePtr<clone_args> at, calls.PutValue(args));
  return Adopt(maker, {SYS_clone3, {at.value(), sizeof args}}, ns_tid, true);
}

Result<std::unique_ptr<BlankTask>> BlankTask::Adopt(BlankTask& maker, RemoteCall call, pid_t ns_pid, bool thread) {
  BATON_CHECKED(FailPoint(thread ? "restore.clone_thread" : "restore.fork"));
  BATON_CHECKED(maker.calls().RunOne(call));
  const std::optional<pid_t> host = maker.calls().TakeNewTask();
  if (call.result == -EEXIST) {
    return ErrnoError(EEXIST, "{} number {} is taken", thread ? "thread" : "process", ns_pid);
  }
  if (call.result < 0) {
    return ErrnoError(static_cast<int>(-call.result), "make {} {}", thread ? "thread" : "process", ns_pid);
  }
  if (!host) return MakeError(ErrorCode::kInternal, "new task {} was not reported", call.result);
  BATON_CHECKED(WaitForFirstStop(*host));
  const auto own = static_cast<pid_t>(call.result);
  const Marker marker{thread ? maker.ns_pid() : own, own, kMarkerSignal};
  std::shared_ptr<RemoteMemory> memory = maker.memory_;
  if (!thread) {
    BATON_TRY(RemoteMemory opened, RemoteMemory::Open(*host));
    memory = std::make_shared<RemoteMemory>(std::move(opened));
  }
  return std::unique_ptr<BlankTask>(new BlankTask(*host, std::move(memory), maker.calls().site(), maker.base_, marker));
}

Result<> BlankTask::SuspendSeccomp() { return SetOptions(host_tid(), kOptions | kSuspendSeccomp); }

Result<> BlankTask::ExitThread() {
  const RemoteCall exit{SYS_exit};
  const RemoteSyscalls& calls = calls_;
  BATON_CHECKED(SetRegisters(host_tid(), EnterSingle(base_, calls.site().code, calls.site().stub, exit, marker_)));
  while (true) {
    auto continued = Continue(host_tid());
    if (!continued && continued.error().code() != ErrorCode::kTaskGone) return continued;
    BATON_TRY(const WaitStatus seen, WaitFor(host_tid()));
    if (seen.Gone()) return {};
  }
}

Result<> BlankTask::EndAlone(int status) {
  constexpr timespec kNap{0, 50'000};
  const RemoteCall exit{SYS_exit, {static_cast<uint64_t>(WEXITSTATUS(status))}};
  const RemoteSyscalls& calls = calls_;
  BATON_CHECKED(SetSignalMask(host_tid(), ~uint64_t{0}));
  BATON_CHECKED(SetRegisters(host_tid(), EnterSingle(base_, calls.site().code, calls.site().stub, exit, marker_)));
  BATON_CHECKED(Detach(host_tid()));
  // The kernel tells nobody of its end before that of all the others.
  while (true) {
    BATON_TRY(const ProcStat stat, ReadStat(host_pid(), host_tid()));
    if (stat.state == 'Z') return {};
    nanosleep(&kNap, nullptr);
  }
}

Result<> BlankTask::Exit(int status) {
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal == 0) {
    const RemoteCall exit{SYS_exit_group, {static_cast<uint64_t>(WEXITSTATUS(status))}};
    const RemoteSyscalls& calls = calls_;
    BATON_CHECKED(SetRegisters(host_tid(), EnterSingle(base_, calls.site().code, calls.site().stub, exit, marker_)));
  } else {
    BATON_CHECKED(SetSignalMask(host_tid(), 0));
    kill(host_pid(), signal);
  }
  for (int deliver = 0;;) {
    // SIGKILL ends it where it stands: then there is nothing to continue, only its end to collect.
    auto continued = Continue(host_tid(), deliver);
    if (!continued && continued.error().code() != ErrorCode::kTaskGone) return continued;
    BATON_TRY(const WaitStatus seen, WaitFor(host_tid()));
    if (seen.Gone()) return {};
    deliver = seen.event() == 0 ? seen.stop_signal() : 0;
  }
}

}  // namespace baton
