#include "resource/eventfd/eventfd.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "base/file.h"
#include "resource/common/payload.h"
#include "resource/eventfd/eventfd.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "eventfd";
constexpr std::string_view kCountKey = "eventfd-count";
constexpr std::string_view kSemaphoreKey = "eventfd-semaphore";
// Only the kernel itself can bring the counter there (AIO), and nobody can write it.
constexpr uint64_t kOverflowed = std::numeric_limits<uint64_t>::max();

Result<uint64_t> Read(int fd) {
  uint64_t value = 0;
  BATON_CHECKED(ReadExactly(fd, std::as_writable_bytes(std::span(&value, 1))));
  return value;
}

Result<> Write(int fd, uint64_t value) { return WriteAll(fd, std::as_bytes(std::span(&value, 1))); }

Result<pb::EventfdPayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::EventfdPayload>(payload, kName));
  if (message.count() == kOverflowed) {
    return MakeError(ErrorCode::kCorrupt, "eventfd: a counter of {} cannot be", message.count());
  }
  return message;
}

class EventfdKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:[eventfd]"); }

  Result<> Check(const FdFacts& file, const CaptureContext&) const override {
    BATON_TRY(const uint64_t count, FdInfoNumber(file.info, kCountKey, 16));
    if (count != kOverflowed) return {};
    return MakeError(ErrorCode::kNotSupported, "the counter of this eventfd has overflowed; let the program read it");
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext&) const override {
    pb::EventfdPayload message;
    BATON_TRY(const uint64_t count, FdInfoNumber(file.info, kCountKey, 16));
    message.set_count(count);
    message.set_nonblocking((file.info.flags & O_NONBLOCK) != 0);
    if (file.info.Find(kSemaphoreKey) != nullptr) {
      BATON_TRY(const uint64_t semaphore, FdInfoNumber(file.info, kSemaphoreKey));
      message.set_semaphore(semaphore != 0);
    } else {
      BATON_TRY(const bool semaphore, IsSemaphoreEventfd(file.copy, count));
      message.set_semaphore(semaphore);
    }
    return message.SerializeAsString();
  }

  // The counter of eventfd2(2) has 32 bits: it is written instead.
  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    const int flags =
        EFD_CLOEXEC | (message.semaphore() ? EFD_SEMAPHORE : 0) | (message.nonblocking() ? EFD_NONBLOCK : 0);
    BATON_TRY(const int64_t fd, context.holder().Do("eventfd2", SYS_eventfd2, 0, flags));
    if (message.count() > 0) {
      BATON_TRY(const UniqueFd copy, context.CopyFromHolder(static_cast<int>(fd)));
      BATON_CHECKED(Write(copy.get(), message.count()));
    }
    return static_cast<int>(fd);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return fmt::format("eventfd, counter {}{}{}", message.count(), message.semaphore() ? ", semaphore" : "",
                       message.nonblocking() ? ", non-blocking" : "");
  }
};

}  // namespace

// With a counter of two or more a read tells: it gives 1 or all.
Result<bool> IsSemaphoreEventfd(int fd, uint64_t count) {
  const bool raised = count < 2;
  if (raised) BATON_CHECKED(Write(fd, 2));
  BATON_TRY(const uint64_t taken, Read(fd));
  if (taken != 1) {
    BATON_CHECKED(Write(fd, count));
    return false;
  }
  if (raised) {
    BATON_CHECKED(Read(fd));
  } else {
    BATON_CHECKED(Write(fd, 1));
  }
  return true;
}

std::unique_ptr<ResourceKind> MakeEventfdKind() { return std::make_unique<EventfdKind>(); }

}  // namespace baton
