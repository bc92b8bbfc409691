#include "resource/signalfd/signalfd.h"

#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include <csignal>

#include "resource/common/payload.h"
#include "resource/signalfd/signalfd.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "signalfd";

constexpr uint64_t Bit(int signal) { return uint64_t{1} << (signal - 1); }

Result<pb::SignalfdPayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::SignalfdPayload>(payload, kName));
  if ((message.mask() & (Bit(SIGKILL) | Bit(SIGSTOP))) == 0) return message;
  return MakeError(ErrorCode::kCorrupt, "signalfd: mask {:x} has signals that nobody can take", message.mask());
}

class SignalfdKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:[signalfd]"); }

  Result<std::string> Capture(const FdFacts& file, CaptureContext&) const override {
    pb::SignalfdPayload message;
    BATON_TRY(const uint64_t mask, FdInfoNumber(file.info, "sigmask", 16));
    message.set_mask(mask);
    message.set_nonblocking((file.info.flags & O_NONBLOCK) != 0);
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    RemoteSyscalls& calls = context.holder();
    BATON_TRY(const auto mask, calls.PutValue(uint64_t{message.mask()}));
    const int flags = SFD_CLOEXEC | (message.nonblocking() ? SFD_NONBLOCK : 0);
    BATON_TRY(const int64_t fd, calls.Do("signalfd4", SYS_signalfd4, -1, mask, sizeof(uint64_t), flags));
    return static_cast<int>(fd);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return fmt::format("signalfd, mask {:x}{}", message.mask(), message.nonblocking() ? ", non-blocking" : "");
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeSignalfdKind() { return std::make_unique<SignalfdKind>(); }

}  // namespace baton
