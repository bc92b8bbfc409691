#include "resource/common/owner.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>

#include "proc/process_files.h"
#include "resource/common/thread_number.h"

namespace baton {
namespace {

pb::FileOwner::Kind KindOf(const f_owner_ex& owner) {
  if (owner.type == F_OWNER_TID) return pb::FileOwner::THREAD;
  return owner.type == F_OWNER_PGRP ? pb::FileOwner::GROUP : pb::FileOwner::PROCESS;
}

int TypeOf(pb::FileOwner::Kind kind) {
  if (kind == pb::FileOwner::THREAD) return F_OWNER_TID;
  return kind == pb::FileOwner::GROUP ? F_OWNER_PGRP : F_OWNER_PID;
}

std::optional<pid_t> NumberInUnit(const f_owner_ex& owner, const CaptureContext& context) {
  if (owner.type == F_OWNER_TID) {
    const auto thread = FindThread(owner.pid, context);
    return thread ? std::optional(thread->ns_tid) : std::nullopt;
  }
  return owner.type == F_OWNER_PGRP ? GroupNumber(owner.pid, context) : context.NsPid(owner.pid);
}

}  // namespace

std::optional<pid_t> GroupNumber(pid_t host_group, const CaptureContext& context) {
  if (const auto leader = context.NsPid(host_group)) return leader;
  for (const FdFacts& file : context.files()) {
    const auto status = ReadStatus(file.host_pid);
    if (!status || status->ns_pgid.empty() || status->ns_pgid.front() != host_group) continue;
    return status->ns_pgid.back();
  }
  return std::nullopt;
}

Result<pb::FileOwner> CaptureOwner(const FdFacts& file, const CaptureContext& context) {
  pb::FileOwner message;
  message.set_async((file.info.flags & O_ASYNC) != 0);
  const int signal = fcntl(file.copy, F_GETSIG);
  if (const int error = errno; signal < 0) return ErrnoError(error, "F_GETSIG of {}", file.link);
  message.set_signal(signal);
  f_owner_ex owner{};
  const int got = fcntl(file.copy, F_GETOWN_EX, &owner);
  if (const int error = errno; got != 0) return ErrnoError(error, "F_GETOWN_EX of {}", file.link);
  if (owner.pid == 0) return message;
  const auto number = NumberInUnit(owner, context);
  if (!number) {
    return MakeError(ErrorCode::kNotSupported,
                     "the signals of this descriptor (F_SETOWN) go to {}, which is outside the unit", owner.pid);
  }
  message.set_kind(KindOf(owner));
  message.set_id(*number);
  return message;
}

Result<> CheckOwner(const pb::FileOwner& owner) {
  const bool named = owner.kind() != pb::FileOwner::NONE;
  const bool sane = pb::FileOwner::Kind_IsValid(owner.kind()) && named == (owner.id() > 0) && owner.id() >= 0 &&
                    owner.signal() >= 0 && owner.signal() <= SIGRTMAX;
  if (sane) return {};
  return MakeError(ErrorCode::kCorrupt, "owner of kind {}, number {}, signal {}", static_cast<int>(owner.kind()),
                   owner.id(), owner.signal());
}

Result<> RestoreOwner(const pb::FileOwner& owner, std::span<const FdUser> users, ArmContext& context) {
  const bool named = owner.kind() != pb::FileOwner::NONE;
  if (users.empty() || (!named && owner.signal() == 0 && !owner.async())) return {};
  const int fd = users.front().fd;
  BATON_TRY(RemoteSyscalls* const calls, context.Process(users.front().ns_pid));
  if (named) {
    BATON_TRY(const auto who, calls->PutValue(f_owner_ex{static_cast<__pid_type>(TypeOf(owner.kind())), owner.id()}));
    BATON_CHECKED(calls->Do("F_SETOWN_EX", SYS_fcntl, fd, F_SETOWN_EX, who));
  }
  if (owner.signal() != 0) BATON_CHECKED(calls->Do("F_SETSIG", SYS_fcntl, fd, F_SETSIG, owner.signal()));
  if (!owner.async()) return {};
  BATON_TRY(const int64_t flags, calls->Do("F_GETFL", SYS_fcntl, fd, F_GETFL));
  BATON_CHECKED(calls->Do("F_SETFL", SYS_fcntl, fd, F_SETFL, flags | O_ASYNC));
  return {};
}

}  // namespace baton
