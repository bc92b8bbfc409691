#include "resource/terminal/terminal.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/major.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/terminal/capture.h"
#include "resource/terminal/restore.h"

namespace baton {
namespace {

constexpr std::string_view kName = "terminal";
constexpr unsigned kKeptFlags = O_ACCMODE | O_NONBLOCK;
constexpr uint32_t kHighestNumber = 1U << 20;  // NR_UNIX98_PTY_MAX
constexpr size_t kLongestQueue = size_t{1} << 20;

using Payload = pb::TerminalPayload;

bool IsTerminal(dev_t device) {
  const unsigned number = major(device);
  return number == TTY_MAJOR || number == TTYAUX_MAJOR ||
         (number >= UNIX98_PTY_MASTER_MAJOR && number < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT);
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  const bool master = message.role() == Payload::MASTER;
  const bool sane =
      Payload::Role_IsValid(message.role()) && Payload::SlaveState_IsValid(message.slave()) &&
      message.number() < kHighestNumber && (message.flags() & ~kKeptFlags) == 0 && message.session() >= 0 &&
      message.foreground() >= 0 && message.settings().size() == (master ? sizeof(termios2) : 0) &&
      message.size().size() == (master ? sizeof(winsize) : 0) && message.output().size() <= kLongestQueue &&
      message.input().size() <= kLongestQueue && (message.role() != Payload::CONTROLLING || message.session() > 0);
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "terminal {}, role {}, flags {:o}, session {}", message.number(),
                     static_cast<int>(message.role()), message.flags(), message.session());
  }
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

std::string DescribeTerminal(const Payload& message) {
  std::string text = fmt::format("terminal /dev/pts/{}", message.number());
  if (message.role() == Payload::MASTER) text += ", master";
  if (message.role() == Payload::HUNG_UP) text += ", whose master is closed";
  if (message.session() != 0) text += fmt::format(", of session {}", message.session());
  if (!message.output().empty()) text += fmt::format(", {} bytes of output", message.output().size());
  if (!message.input().empty()) text += fmt::format(", {} bytes of input", message.input().size());
  return text;
}

class TerminalKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return file.IsCharDevice() && (file.info.flags & O_PATH) == 0 && IsTerminal(file.status.st_rdev);
  }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_CHECKED(CaptureTerminal(file, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    BATON_TRY(Payload message, CaptureTerminal(file, context));
    BATON_CHECKED(CaptureQueues(file, context, message));
    return message.SerializeAsString();
  }

  // Connect replaces it: a slave needs its master.
  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_CHECKED(Parse(payload));
    RemoteSyscalls& calls = context.holder();
    BATON_TRY(const auto root, calls.PutString("/"));
    BATON_TRY(const int64_t fd, calls.Do("open /", SYS_openat, AT_FDCWD, root, O_PATH | O_CLOEXEC, 0));
    return static_cast<int>(fd);
  }

  Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const override {
    TerminalMembers members;
    for (const MadeFile& file : files) {
      BATON_TRY(auto message, Parse(file.payload));
      members[file.id] = {.message = std::move(message), .fd = file.fd};
    }
    return RestoreTerminals(members, context);
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RestoreOwner(message.owner(), users, context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return DescribeTerminal(message);
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeTerminalKind() { return std::make_unique<TerminalKind>(); }

}  // namespace baton
