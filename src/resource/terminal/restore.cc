#include "resource/terminal/restore.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "resource/common/pty.h"
#include "resource/common/remote_sockets.h"
#include "resource/terminal/queue.h"

namespace baton {
namespace {

using Payload = pb::TerminalPayload;

Result<> Set(int fd, unsigned long request, const void* value, std::string_view what) {
  const int set = ioctl(fd, request, value);
  if (const int error = errno; set != 0) return ErrnoError(error, "{} of a terminal", what);
  return {};
}

Result<> SetFlags(int fd, uint32_t flags) {
  const int set = fcntl(fd, F_SETFL, static_cast<int>(flags & O_NONBLOCK));
  if (const int error = errno; set != 0) return ErrnoError(error, "flags of a terminal");
  return {};
}

class Restorer {
 public:
  Restorer(TerminalMembers& members, RestoreContext& context)
      : members_(members), context_(context), calls_(context.holder()) {}

  Result<> Run() {
    BATON_CHECKED(ForEach(Payload::MASTER, &Restorer::MakePair));
    BATON_CHECKED(ForEach(Payload::SLAVE, &Restorer::OpenSlave));
    BATON_CHECKED(ForEach(Payload::CONTROLLING, &Restorer::OpenOwnTerminal));
    BATON_CHECKED(ForEach(Payload::HUNG_UP, &Restorer::MakeHungUp));
    BATON_CHECKED(ForEach(Payload::SLAVE, &Restorer::MakeExclusive));
    return ForEach(Payload::MASTER, &Restorer::Finish);
  }

 private:
  Result<> ForEach(Payload::Role role, Result<> (Restorer::*step)(TerminalMember&)) {
    for (auto& [id, member] : members_) {
      if (member.message.role() != role) continue;
      if (auto done = (this->*step)(member); !done) return done.Fail("open file {}", id);
    }
    return {};
  }

  Result<> Place(int made, const TerminalMember& member) { return RemoteSockets(calls_).Move(made, member.fd); }

  Result<> MakePair(TerminalMember& member) {
    const uint32_t number = member.message.number();
    if (pairs_.contains(number)) return MakeError(ErrorCode::kCorrupt, "/dev/pts/{} has two masters", number);
    BATON_TRY(Pty pty, FindOrOpen(member.message));
    BATON_CHECKED(Place(pty.master, member));
    pty.master = member.fd;
    pairs_[number] = pty;
    BATON_TRY(const UniqueFd master, context_.CopyFromHolder(member.fd));
    BATON_CHECKED(Set(master.get(), TCSETS2, member.message.settings().data(), "settings"));
    BATON_CHECKED(Set(master.get(), TIOCSWINSZ, member.message.size().data(), "size"));
    if (pty.slave < 0) return {};
    BATON_TRY(const UniqueFd slave, context_.CopyFromHolder(pty.slave));
    const PtyEnds ends{master.get(), slave.get()};
    BATON_CHECKED(PutInput(ends, member.message.input()));
    return PutOutput(ends, member.message.output(), member.message.stopped());
  }

  // One that is a session's controlling terminal was made with the session.
  Result<Pty> FindOrOpen(const Payload& message) {
    const uint32_t number = message.number();
    auto& shared = context_.shared();
    if (const auto master = shared.find(PtyKey(number, kPtyMaster)); master != shared.end()) {
      const Pty pty{number, master->second, shared.at(PtyKey(number, kPtySlave))};
      shared.erase(PtyKey(number, kPtyMaster));
      shared.erase(PtyKey(number, kPtySlave));
      return pty;
    }
    const bool alone = message.slave() == Payload::NEVER;
    BATON_TRY(const Pty pty, alone ? OpenPtyMaster(calls_, number) : OpenPty(calls_, number));
    if (pty.number != number) BATON_LOG(kWarn, "/dev/pts/{} is taken here: it is {} now", number, pty.number);
    return pty;
  }

  Result<const Pty*> PairOf(const TerminalMember& member) const {
    const auto pair = pairs_.find(member.message.number());
    if (pair == pairs_.end())
      return MakeError(ErrorCode::kCorrupt, "/dev/pts/{} has no master", member.message.number());
    return &pair->second;
  }

  Result<> OpenSlave(TerminalMember& member) {
    BATON_TRY(const Pty* pty, PairOf(member));
    const auto flags = static_cast<int>(member.message.flags()) | O_NOCTTY | O_CLOEXEC;
    BATON_TRY(const int64_t made, calls_.Do("open a terminal", SYS_ioctl, pty->master, TIOCGPTPEER, flags));
    return Place(static_cast<int>(made), member);
  }

  Result<> OpenOwnTerminal(TerminalMember& member) {
    BATON_TRY(RemoteSyscalls* const leader, context_.Process(member.message.session()));
    BATON_TRY(const auto path, leader->PutString("/dev/tty"));
    BATON_TRY(const int64_t there, leader->Do("open /dev/tty", SYS_openat, AT_FDCWD, path,
                                              static_cast<int>(member.message.flags()) | O_CLOEXEC, 0));
    BATON_TRY(const int made, RemoteSockets(calls_).Fetch(member.message.session(), static_cast<int>(there)));
    BATON_CHECKED(leader->Do("close", SYS_close, there));
    return Place(made, member);
  }

  Result<> MakeHungUp(TerminalMember& member) {
    BATON_TRY(const Pty pty, OpenPty(calls_, member.message.number()));
    BATON_TRY(const UniqueFd slave, context_.CopyFromHolder(pty.slave));
    BATON_CHECKED(SetFlags(slave.get(), member.message.flags()));
    BATON_CHECKED(calls_.Do("close", SYS_close, pty.master));
    return Place(pty.slave, member);
  }

  // Nobody can open it from then on.
  Result<> MakeExclusive(TerminalMember& member) {
    if (!member.message.exclusive()) return {};
    BATON_TRY(const UniqueFd slave, context_.CopyFromHolder(member.fd));
    return Set(slave.get(), TIOCEXCL, nullptr, "exclusive mode");
  }

  // What changes how the terminal works comes after all that has to be put into it.
  Result<> Finish(TerminalMember& member) {
    const Payload& message = member.message;
    const Pty& pty = pairs_.at(message.number());
    if (pty.slave >= 0) {
      BATON_CHECKED(SetForeground(message, pty.slave));
      BATON_CHECKED(calls_.Do("close", SYS_close, pty.slave));
    }
    BATON_TRY(const UniqueFd master, context_.CopyFromHolder(member.fd));
    const int packets = message.packets() ? 1 : 0;
    BATON_CHECKED(Set(master.get(), TIOCPKT, &packets, "packet mode"));
    const int locked = message.locked() ? 1 : 0;
    BATON_CHECKED(Set(master.get(), TIOCSPTLCK, &locked, "lock"));
    return SetFlags(master.get(), message.flags());
  }

  // Only a process of the session may. A group that is gone cannot be in the foreground again.
  Result<> SetForeground(const Payload& message, int slave) {
    if (message.session() == 0 || message.foreground() == 0) return {};
    return CallAs(message.session(), slave, context_, [&](RemoteSockets& sockets, int fd) -> Result<> {
      sockets.calls().ResetArguments();
      BATON_TRY(const auto group, sockets.calls().PutValue(pid_t{message.foreground()}));
      BATON_TRY(const int64_t set, sockets.calls().Call(SYS_ioctl, fd, TIOCSPGRP, group));
      if (set < 0 && set != -ESRCH) {
        return ErrnoError(static_cast<int>(-set), "put group {} into the foreground", message.foreground());
      }
      return {};
    });
  }

  TerminalMembers& members_;
  RestoreContext& context_;
  RemoteSyscalls& calls_;
  std::map<uint32_t, Pty> pairs_;  // by the number in the image; descriptors in the holder
};

}  // namespace

Result<> RestoreTerminals(TerminalMembers& members, RestoreContext& context) {
  return Restorer(members, context).Run();
}

}  // namespace baton
