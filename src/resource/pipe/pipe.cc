#include "resource/pipe/pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>

#include "proc/process_files.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/pipe/outside_end.h"
#include "resource/pipe/pipe.pb.h"
#include "resource/pipe/pipe_content.h"
#include "resource/pipe/pipe_restore.h"

namespace baton {
namespace {

constexpr std::string_view kName = "pipe";
constexpr unsigned kKeptFlags = O_ACCMODE | O_NONBLOCK | O_APPEND | O_DIRECT;
constexpr uint32_t kPage = 4096;
constexpr uint32_t kPermissions = 07777;
constexpr std::string_view kAnonymous = "pipe:[";
constexpr std::string_view kDeleted = " (deleted)";

bool SamePipe(const FdFacts& a, const FdFacts& b) {
  return b.IsFifo() && a.status.st_dev == b.status.st_dev && a.status.st_ino == b.status.st_ino;
}

bool Writes(const FdFacts& file) { return (file.info.flags & O_ACCMODE) != O_RDONLY; }
bool Reads(const FdFacts& file) { return (file.info.flags & O_ACCMODE) != O_WRONLY; }

template <typename Predicate>
bool AnyOfPipe(const FdFacts& file, const CaptureContext& context, Predicate predicate) {
  return std::ranges::any_of(context.files(),
                             [&](const FdFacts& other) { return SamePipe(file, other) && predicate(other); });
}

uint32_t NumberOf(const FdFacts& file, const CaptureContext& context) {
  const auto files = context.files();
  const auto first = std::ranges::find_if(files, [&](const FdFacts& other) { return SamePipe(file, other); });
  return first == files.end() ? file.id : first->id;
}

bool IsFifo(const FdFacts& file) { return !file.link.starts_with(kAnonymous); }
bool IsRemoved(const FdFacts& file) { return IsFifo(file) && file.link.ends_with(kDeleted); }

// Only FIFOs know this state: poll(2) of one without a writer hangs up once there was one since the reader's open.
bool AwaitsWriter(const FdFacts& file, const CaptureContext& context) {
  if (!IsFifo(file) || Writes(file) || AnyOfPipe(file, context, Writes)) return false;
  int waiting = 0;
  if (ioctl(file.copy, FIONREAD, &waiting) != 0 || waiting != 0) return false;
  pollfd asked{.fd = file.copy, .events = POLLIN, .revents = 0};
  return poll(&asked, 1, 0) >= 0 && (asked.revents & POLLHUP) == 0;
}

// The pipe itself knows that its other end is open, where the process that has it is not ours to look into. (A FIFO
// without a writer may have had none yet.)
bool OtherEndIsOpen(const FdFacts& file, PipeEnd other_end) {
  if (!file.link.starts_with(kAnonymous)) return false;
  const short gone = other_end == PipeEnd::kRead ? POLLERR : POLLHUP;
  pollfd asked{.fd = file.copy, .events = 0, .revents = 0};
  return poll(&asked, 1, 0) >= 0 && (asked.revents & gone) == 0;
}

Result<> CheckOtherEnd(const FdFacts& file, PipeEnd other_end, const CaptureContext& context) {
  const auto holder = FindHolder(file.status, other_end, [&](pid_t pid) { return context.NsPid(pid).has_value(); });
  if (!holder && !OtherEndIsOpen(file, other_end)) return {};
  const std::string who = holder ? fmt::format("process {} ({})", *holder, ReadComm(*holder).value_or("?"))
                                 : std::string("a process that only root may look into");
  return MakeError(
      ErrorCode::kNotSupported,
      "the other end of this pipe is outside the unit, in {}: give --external fd:{}=inherit|close, or save "
      "that process too",
      who, file.users.empty() ? file.fd : file.users.front().fd);
}

void SetPlace(const FdFacts& file, pb::PipePayload& message) {
  message.set_removed(IsRemoved(file));
  if (IsFifo(file)) message.set_path(file.link.substr(0, file.link.size() - (message.removed() ? kDeleted.size() : 0)));
  if (IsFifo(file) && !message.removed()) return;
  message.mutable_access()->set_uid(file.status.st_uid);
  message.mutable_access()->set_gid(file.status.st_gid);
  message.mutable_access()->set_mode(file.status.st_mode & kPermissions);
}

Result<> CheckPackets(const pb::PipePayload& message) {
  uint64_t sum = 0;
  for (const uint32_t packet : message.packets()) {
    if (packet == 0 || packet > kPage) return MakeError(ErrorCode::kCorrupt, "pipe: a packet of {} bytes", packet);
    sum += packet;
  }
  const bool fits =
      message.packets().empty() ||
      (sum == message.content().size() && message.packets_size() <= static_cast<int>(message.capacity() / kPage));
  if (fits) return {};
  return MakeError(ErrorCode::kCorrupt, "pipe: {} packets of {} bytes do not make {} bytes", message.packets_size(),
                   sum, message.content().size());
}

Result<> CheckAwaiting(const pb::PipePayload& message) {
  const bool can = !message.path().empty() && (message.flags() & O_ACCMODE) == O_RDONLY && message.content().empty();
  if (can || !message.awaits_writer()) return {};
  return MakeError(ErrorCode::kCorrupt, "pipe {}: waits for a writer, but is no empty FIFO's reader", message.pipe());
}

Result<pb::PipePayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::PipePayload>(payload, kName));
  const bool sane =
      message.pipe() > 0 && (message.flags() & ~kKeptFlags) == 0 && (message.flags() & O_ACCMODE) != O_ACCMODE &&
      std::has_single_bit(message.capacity()) && message.capacity() >= kPage && message.capacity() <= (1U << 31) &&
      message.content().size() <= message.capacity() && (message.path().empty() || message.path().front() == '/') &&
      message.path().find('\0') == std::string::npos && (!message.removed() || !message.path().empty()) &&
      message.access().mode() <= kPermissions;
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "pipe {}: flags {:o}, capacity {}, {} bytes in it, path of {} bytes",
                     message.pipe(), message.flags(), message.capacity(), message.content().size(),
                     message.path().size());
  }
  BATON_CHECKED(CheckPackets(message));
  BATON_CHECKED(CheckAwaiting(message));
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

std::string DescribePipe(const pb::PipePayload& message) {
  const unsigned access = message.flags() & O_ACCMODE;
  const std::string_view end = access == O_RDONLY ? "read end" : access == O_WRONLY ? "write end" : "both ends";
  std::string text = message.path().empty()
                         ? fmt::format("pipe {}, {}", message.pipe(), end)
                         : fmt::format("{}FIFO {}, {}", message.removed() ? "removed " : "", message.path(), end);
  if (!message.content().empty()) text += fmt::format(", {} bytes in it", message.content().size());
  if (!message.packets().empty()) text += fmt::format(" ({} packets)", message.packets_size());
  return text;
}

class PipeKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsFifo() && (file.info.flags & O_PATH) == 0; }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_CHECKED(CaptureOwner(file, context));
    if (!AnyOfPipe(file, context, Writes)) BATON_CHECKED(CheckOtherEnd(file, PipeEnd::kWrite, context));
    if (!AnyOfPipe(file, context, Reads)) BATON_CHECKED(CheckOtherEnd(file, PipeEnd::kRead, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    pb::PipePayload message;
    message.set_pipe(NumberOf(file, context));
    SetPlace(file, message);
    message.set_flags(file.info.flags & kKeptFlags);
    const int capacity = fcntl(file.copy, F_GETPIPE_SZ);
    if (const int error = errno; capacity < 0) return ErrnoError(error, "F_GETPIPE_SZ of {}", file.link);
    message.set_capacity(static_cast<uint32_t>(capacity));
    message.set_awaits_writer(AwaitsWriter(file, context));
    BATON_TRY(*message.mutable_owner(), CaptureOwner(file, context));
    if (message.pipe() == file.id) BATON_CHECKED(AddContent(file, context, message));
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RestorePipeFile(message, context);
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    return RestoreOwner(message.owner(), users, context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return DescribePipe(message);
  }

 private:
  static Result<> AddContent(const FdFacts& file, const CaptureContext& context, pb::PipePayload& message) {
    const auto reader = std::ranges::find_if(
        context.files(), [&](const FdFacts& other) { return SamePipe(file, other) && Reads(other); });
    const bool packets = AnyOfPipe(
        file, context, [](const FdFacts& other) { return Writes(other) && (other.info.flags & O_DIRECT) != 0; });
    BATON_TRY(const PipeContent content, PeekPipe(reader == context.files().end() ? file.copy : reader->copy, packets));
    message.set_content(content.bytes.data(), content.bytes.size());
    message.mutable_packets()->Assign(content.packets.begin(), content.packets.end());
    return {};
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakePipeKind() { return std::make_unique<PipeKind>(); }

}  // namespace baton
