#include "resource/inotify/restore.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <span>

#include "base/file.h"
#include "base/unique_fd.h"

namespace baton {
namespace {

constexpr int kMostNumbers = 1 << 20;  // that are passed over for the next one
constexpr size_t kBlock = 64 * 1024;
constexpr uint32_t kGiven = 0x00000fff | IN_EXCL_UNLINK | IN_ONESHOT;  // of a mask, what a program can ask for

// A file of ours, which nobody else watches.
class Dummy {
 public:
  static Result<Dummy> Make() {
    const int made = memfd_create("baton-inotify", MFD_CLOEXEC);
    if (const int error = errno; made < 0) return ErrnoError(error, "memfd");
    return Dummy(UniqueFd(made));
  }
  std::string path() const { return fmt::format("/proc/self/fd/{}", file_.get()); }
  int fd() const { return file_.get(); }

 private:
  explicit Dummy(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

Result<> ReadAway(int own, size_t bytes) {
  std::array<char, kBlock> block{};
  while (bytes >= sizeof(inotify_event)) {
    const ssize_t got = read(own, block.data(), std::min(bytes, block.size()));
    const int error = errno;
    if (got < 0 && error == EAGAIN) return {};
    if (got < 0) return ErrnoError(error, "read an inotify descriptor");
    bytes -= static_cast<size_t>(got);
  }
  return {};
}

size_t Waiting(int own) {
  int bytes = 0;
  return ioctl(own, FIONREAD, &bytes) == 0 ? static_cast<size_t>(bytes) : 0;
}

class WatchMaker {
 public:
  WatchMaker(int fd, int own, const Dummy& dummy, RestoreContext& context)
      : fd_(fd), own_(own), dummy_(dummy), context_(context) {}

  // Numbers are given in ascending order, also after a watch is removed.
  Result<> Make(const pb::InotifyWatch& watch) {
    if (watch.number() - next_ > kMostNumbers) {
      return MakeError(ErrorCode::kNotSupported, "inotify watch number {} is too high to be reached", watch.number());
    }
    while (next_ < watch.number()) BATON_CHECKED(PassNumber());
    BATON_TRY(const std::string path, PathOf(watch));
    RemoteSyscalls& calls = context_.holder();
    calls.ResetArguments();
    BATON_TRY(const auto at, calls.PutString(path));
    const uint32_t follow = watch.open_file() == 0 ? IN_DONT_FOLLOW : 0U;
    BATON_TRY(const int64_t number, calls.Do(fmt::format("watch {}", watch.path()), SYS_inotify_add_watch, fd_, at,
                                             (watch.mask() & kGiven) | follow));
    if (number == watch.number()) {
      ++next_;
      return {};
    }
    return MakeError(ErrorCode::kConflict, "{} got watch number {}, not {}: it is another file's too now", watch.path(),
                     number, watch.number());
  }

 private:
  Result<> PassNumber() {
    const int number = inotify_add_watch(own_, dummy_.path().c_str(), IN_MODIFY);
    if (const int error = errno; number < 0) return ErrnoError(error, "inotify_add_watch");
    inotify_rm_watch(own_, number);
    next_ = number + 1;
    if (next_ % 1024 == 0) return ReadAway(own_, Waiting(own_));
    return {};
  }

  Result<std::string> PathOf(const pb::InotifyWatch& watch) {
    if (watch.open_file() == 0) return context_.MapPath(watch.path());
    BATON_TRY(const int file, context_.Made(watch.open_file()));
    return fmt::format("/proc/self/fd/{}", file);
  }

  int fd_;   // in the holder
  int own_;  // the same of ours
  const Dummy& dummy_;
  RestoreContext& context_;
  int next_ = 1;
};

size_t QueueLimit() {
  const auto text = ReadFile("/proc/sys/fs/inotify/max_queued_events");
  size_t limit = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), limit);
  return limit == 0 ? 16384 : limit;
}

// As many events as the queue takes, and one more: the last one in it then says so, and the others are read away. Equal
// ones that follow each other would become one, so two files take turns.
Result<> Overflow(int own, const Dummy& dummy) {
  BATON_TRY(const Dummy other, Dummy::Make());
  const std::array<const Dummy*, 2> turns{&dummy, &other};
  std::array<int, 2> numbers{};
  for (size_t i = 0; i < turns.size(); ++i) {
    numbers.at(i) = inotify_add_watch(own, turns.at(i)->path().c_str(), IN_ATTRIB);
    if (const int error = errno; numbers.at(i) < 0) return ErrnoError(error, "inotify_add_watch");
  }
  for (size_t i = 0; i <= QueueLimit(); ++i) {
    const int changed = fchmod(turns.at(i % 2)->fd(), 0600);
    if (const int error = errno; changed != 0) return ErrnoError(error, "events for inotify");
  }
  for (const int number : numbers) inotify_rm_watch(own, number);  // which cannot be said any more
  return ReadAway(own, Waiting(own) - sizeof(inotify_event));
}

}  // namespace

Result<> RestoreWatches(const pb::InotifyPayload& message, int fd, RestoreContext& context) {
  BATON_TRY(const UniqueFd own, context.CopyFromHolder(fd));
  BATON_TRY(const Dummy dummy, Dummy::Make());
  WatchMaker maker(fd, own.get(), dummy, context);
  for (const pb::InotifyWatch& watch : message.watches()) BATON_CHECKED(maker.Make(watch));
  BATON_CHECKED(ReadAway(own.get(), Waiting(own.get())));
  if (message.events_lost()) BATON_CHECKED(Overflow(own.get(), dummy));
  const int set = fcntl(own.get(), F_SETFL, static_cast<int>(message.flags()));
  if (const int error = errno; set != 0) return ErrnoError(error, "flags of an inotify descriptor");
  return {};
}

Result<> ClearEvents(const FdUser& user, ArmContext& context) {
  BATON_TRY(RemoteSyscalls* const calls, context.Process(user.ns_pid));
  BATON_TRY(const auto count_at, calls->PutValue(int{0}));
  const size_t bytes = calls->argument_room() / 2;
  BATON_TRY(const auto room, calls->Reserve(bytes));
  while (true) {
    BATON_CHECKED(calls->Do("FIONREAD", SYS_ioctl, user.fd, FIONREAD, count_at));
    BATON_TRY(const int waiting, calls->Get(count_at));
    if (waiting < static_cast<int>(sizeof(inotify_event))) return {};
    BATON_CHECKED(calls->Do("read away events", SYS_read, user.fd, room, bytes));
  }
}

}  // namespace baton
