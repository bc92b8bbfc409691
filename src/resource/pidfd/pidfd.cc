#include "resource/pidfd/pidfd.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <optional>

#include "resource/common/payload.h"
#include "resource/common/remote_pidfd.h"
#include "resource/common/thread_number.h"
#include "resource/pidfd/pidfd.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "pidfd";
constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD, Linux 6.9
constexpr std::string_view kPidKey = "Pid";

Result<pb::PidfdPayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::PidfdPayload>(payload, kName));
  const bool names_process = message.thread() && message.number() > 0;
  const bool sane = message.number() >= 0 && message.process() >= 0 && names_process == (message.process() > 0);
  if (sane) return message;
  return MakeError(ErrorCode::kCorrupt, "pidfd of {} {} in process {}", message.thread() ? "thread" : "process",
                   message.number(), message.process());
}

// A thread that does not lead its process is made after the holder has made the open files.
bool IsLate(const pb::PidfdPayload& message) { return message.thread() && message.number() != message.process(); }

unsigned FlagsOf(const pb::PidfdPayload& message) {
  return (message.nonblocking() ? O_NONBLOCK : 0U) | (message.thread() ? kThread : 0U);
}

Result<ThreadNumber> Referred(const FdFacts& file, const CaptureContext& context) {
  BATON_TRY(const int host_number, FdInfoNumber<int>(file.info, kPidKey));
  if (host_number < 0) return ThreadNumber{};
  const auto found = host_number == 0 ? std::nullopt : FindThread(host_number, context);
  if (found) return *found;
  return MakeError(ErrorCode::kNotSupported,
                   "this pidfd is of process {}, which is outside the unit: close it, or save that process too",
                   host_number);
}

// The open file that `fd` of `from` is, also at the descriptor of `user`, instead of what is there.
Result<> Replace(const FdUser& user, const FdUser& from, int fd, ArmContext& context) {
  BATON_TRY(RemoteSyscalls* const calls, context.Process(user.ns_pid));
  BATON_TRY(const int64_t process, OpenRemotePidfd(*calls, from.ns_pid));
  BATON_TRY(const int64_t copy, calls->Do("pidfd_getfd", SYS_pidfd_getfd, process, fd, 0));
  BATON_CHECKED(calls->Do("dup3", SYS_dup3, copy, user.fd, user.close_on_exec ? O_CLOEXEC : 0));
  BATON_CHECKED(calls->Do("close", SYS_close, copy));
  BATON_CHECKED(calls->Do("close", SYS_close, process));
  return {};
}

class PidfdKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return file.IsAnonInode("anon_inode:[pidfd]") || file.link.starts_with("pidfd:[");
  }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_CHECKED(Referred(file, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(const ThreadNumber number, Referred(file, context));
    pb::PidfdPayload message;
    message.set_thread((file.info.flags & kThread) != 0);
    message.set_number(number.ns_tid);
    if (message.thread()) message.set_process(number.ns_pid);
    message.set_nonblocking((file.info.flags & O_NONBLOCK) != 0);
    return message.SerializeAsString();
  }

  // The holder is in the unit's pid namespace, and all processes exist already. It is also the process that will be
  // gone. A late one is that too, until Arm.
  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    RemoteSyscalls& calls = context.holder();
    int64_t number = message.number();
    if (number == 0 || IsLate(message)) {
      BATON_TRY(number, calls.Do("getpid", SYS_getpid));
    }
    BATON_TRY(const int64_t fd, calls.Do("pidfd_open", SYS_pidfd_open, number, FlagsOf(message)));
    return static_cast<int>(fd);
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    if (!IsLate(message) || users.empty()) return {};
    const FdUser& first = users.front();
    BATON_TRY(RemoteSyscalls* const calls, context.Process(first.ns_pid));
    BATON_TRY(const int64_t fd, calls->Do("pidfd_open", SYS_pidfd_open, message.number(), FlagsOf(message)));
    for (const FdUser& user : users) BATON_CHECKED(Replace(user, first, static_cast<int>(fd), context));
    BATON_CHECKED(calls->Do("close", SYS_close, fd));
    return {};
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    if (message.number() == 0) return std::string("pidfd of a process that is gone");
    return fmt::format("pidfd of {} {}", message.thread() ? "thread" : "process", message.number());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakePidfdKind() { return std::make_unique<PidfdKind>(); }

}  // namespace baton
