#include "resource/terminal/capture.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/tty.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "proc/process_files.h"
#include "resource/common/owner.h"
#include "resource/common/pty.h"
#include "resource/terminal/queue.h"

namespace baton {
namespace {

using Payload = pb::TerminalPayload;

constexpr unsigned kKeptFlags = O_ACCMODE | O_NONBLOCK;
constexpr std::string_view kSlaves = "/dev/pts/";
constexpr std::string_view kDeleted = " (deleted)";
constexpr std::string_view kOwnTerminal = "/dev/tty";

template <typename... Args>
Error NotSupported(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kNotSupported, format, std::forward<Args>(args)...);
}

Error IsOutside() {
  return NotSupported(
      "is a terminal of somebody outside the unit: have another put in its place at the restore (--external "
      "fd:N=inherit, or --shell-job), or start the job without one");
}

template <typename T>
T Ask(int fd, unsigned long request) {
  T value{};
  return ioctl(fd, request, &value) == 0 ? value : T{};
}

template <typename T>
std::string AskBytes(int fd, unsigned long request) {
  const T value = Ask<T>(fd, request);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

const FdFacts* FindMaster(uint32_t number, const CaptureContext& context) {
  const auto files = context.files();
  const auto found = std::ranges::find_if(
      files, [&](const FdFacts& other) { return other.IsCharDevice() && MasterNumber(other.copy) == number; });
  return found == files.end() ? nullptr : &*found;
}

bool HasSlave(uint32_t number, const CaptureContext& context) {
  return std::ranges::any_of(
      context.files(), [&](const FdFacts& other) { return other.IsCharDevice() && SlaveNumber(other.copy) == number; });
}

// A slave answers nothing any more once its master is closed; its name is all that is left.
std::optional<uint32_t> HungUpNumber(const FdFacts& file) {
  std::string_view name = file.link;
  if (!name.starts_with(kSlaves)) return std::nullopt;
  name.remove_prefix(kSlaves.size());
  if (name.ends_with(kDeleted)) name.remove_suffix(kDeleted.size());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  int device = 0;
  const bool whole = error == std::errc() && end == name.data() + name.size();
  const bool answers = ioctl(file.copy, TIOCGDEV, &device) == 0 || errno != EIO;
  return whole && !answers ? std::optional(number) : std::nullopt;
}

// The session's number is its leader's.
void CaptureSession(int master, const CaptureContext& context, Payload& message) {
  const auto session = Ask<pid_t>(master, TIOCGSID);
  const auto leader = session > 0 ? context.NsPid(session) : std::nullopt;
  if (!leader) return;
  message.set_session(*leader);
  const auto group = Ask<pid_t>(master, TIOCGPGRP);
  message.set_foreground(group > 0 ? GroupNumber(group, context).value_or(0) : 0);
}

Result<> CaptureMaster(const FdFacts& file, const CaptureContext& context, Payload& message) {
  if (const int discipline = Ask<int>(file.copy, TIOCGETD); discipline != N_TTY) {
    return NotSupported("is a terminal with line discipline {}, whose state cannot be saved", discipline);
  }
  CaptureSession(file.copy, context, message);
  message.set_settings(AskBytes<termios2>(file.copy, TCGETS2));
  message.set_size(AskBytes<winsize>(file.copy, TIOCGWINSZ));
  message.set_packets(Ask<int>(file.copy, TIOCGPKT) != 0);
  message.set_locked(Ask<int>(file.copy, TIOCGPTLCK) != 0);
  pollfd asked{.fd = file.copy, .events = 0, .revents = 0};
  const bool closed = poll(&asked, 1, 0) > 0 && (asked.revents & POLLHUP) != 0;
  const bool open = message.session() != 0 || HasSlave(message.number(), context);
  message.set_slave(closed ? Payload::CLOSED : open ? Payload::OPEN : Payload::NEVER);
  return {};
}

Result<> CaptureSlave(const FdFacts& file, const CaptureContext& context, Payload& message) {
  const auto number = SlaveNumber(file.copy);
  const FdFacts* master = number ? FindMaster(*number, context) : nullptr;
  if (master == nullptr) return IsOutside();
  message.set_number(*number);
  message.set_role(file.link == kOwnTerminal ? Payload::CONTROLLING : Payload::SLAVE);
  message.set_exclusive(Ask<int>(file.copy, TIOCGEXCL) != 0);
  CaptureSession(master->copy, context, message);
  if (message.role() == Payload::CONTROLLING && message.session() == 0) return IsOutside();
  return {};
}

}  // namespace

Result<Payload> CaptureTerminal(const FdFacts& file, const CaptureContext& context) {
  Payload message;
  message.set_flags(file.info.flags & kKeptFlags);
  if (const auto master = MasterNumber(file.copy)) {
    message.set_role(Payload::MASTER);
    message.set_number(*master);
    BATON_CHECKED(CaptureMaster(file, context, message));
  } else if (const auto hung_up = HungUpNumber(file)) {
    message.set_role(Payload::HUNG_UP);
    message.set_number(*hung_up);
  } else {
    BATON_CHECKED(CaptureSlave(file, context, message));
  }
  BATON_TRY(*message.mutable_owner(), CaptureOwner(file, context));
  return message;
}

Result<> CaptureQueues(const FdFacts& file, const CaptureContext& context, Payload& message) {
  if (message.role() != Payload::MASTER || message.slave() == Payload::NEVER) return {};
  std::optional<UniqueFd> opened;
  PtyEnds ends{file.copy, -1};
  const int made = ioctl(file.copy, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  const int error = errno;
  if (made >= 0) {
    opened.emplace(made);
    ends.slave = made;
  }
  for (const FdFacts& other : context.files()) {
    if (ends.slave < 0 && other.IsCharDevice() && SlaveNumber(other.copy) == message.number()) ends.slave = other.copy;
  }
  if (ends.slave < 0) return ErrnoError(error, "open /dev/pts/{} to look at what is in it", message.number());
  BATON_TRY(const std::string input, TakeInput(ends));
  auto kept = PutInput(ends, input);
  BATON_TRY(const std::string output, TakeOutput(ends));
  message.set_stopped(IsStopped(ends));
  BATON_CHECKED(PutOutput(ends, output, message.stopped()));
  message.set_input(input);
  message.set_output(output);
  return kept;
}

}  // namespace baton
