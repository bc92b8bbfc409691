#include "resource/pipe/pipe_restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/file.h"

namespace baton {
namespace {

// The pipe in the holder, by which every open file of it is found: RestoreContext::shared() has the numbers.
class SharedPipe {
 public:
  SharedPipe(const pb::PipePayload& message, RestoreContext& context)
      : message_(message), context_(context), calls_(context.holder()) {}

  Result<int> OpenFile() {
    if (!context_.shared().contains(Key("read"))) BATON_CHECKED(Make());
    calls_.ResetArguments();
    BATON_TRY(const int fd, TakeOrOpen());
    const unsigned flags = message_.flags() & ~static_cast<unsigned>(O_ACCMODE);
    BATON_CHECKED(calls_.Do("flags of a pipe", SYS_fcntl, fd, F_SETFL, flags));
    return fd;
  }

 private:
  std::string Key(std::string_view what) const { return fmt::format("pipe/{}/{}", message_.pipe(), what); }
  int Shared(std::string_view what) const { return context_.shared().at(Key(what)); }
  void Share(std::string_view what, int fd) { context_.shared()[Key(what)] = fd; }

  Result<> Make() {
    if (message_.path().empty()) {
      BATON_CHECKED(MakeAnonymous());
    } else if (message_.removed()) {
      BATON_CHECKED(MakeRemovedFifo());
    } else {
      BATON_CHECKED(OpenFifo());
    }
    BATON_CHECKED(SetAccess());
    BATON_TRY(const int64_t size,
              calls_.Call(SYS_fcntl, Shared("write"), F_SETPIPE_SZ, static_cast<int64_t>(message_.capacity())));
    if (size < 0) {
      return ErrnoError(static_cast<int>(-size),
                        "a pipe of {} bytes: raise /proc/sys/fs/pipe-max-size or /proc/sys/fs/pipe-user-pages-soft",
                        message_.capacity());
    }
    return Fill();
  }

  Result<> MakeAnonymous() {
    calls_.ResetArguments();
    BATON_TRY(const auto at, calls_.PutValue(std::array<int, 2>{}));
    BATON_CHECKED(calls_.Do("pipe2", SYS_pipe2, at, O_CLOEXEC | O_NONBLOCK));
    BATON_TRY(const auto ends, calls_.Get(at));
    Share("read", ends[0]);
    Share("write", ends[1]);
    return {};
  }

  // By those who may now: an id that is not here stays ours. The mode last, which a change of owner may cut.
  Result<> SetAccess() {
    if (!message_.has_access()) return {};
    const pb::PipePayload::Access& access = message_.access();
    BATON_CHECKED(calls_.Call(SYS_fchown, Shared("write"), access.uid(), access.gid()));
    BATON_CHECKED(calls_.Do("mode of a pipe", SYS_fchmod, Shared("write"), access.mode()));
    return {};
  }

  // Under its old name if that is free: it is seen in /proc/PID/fd.
  Result<> MakeRemovedFifo() {
    constexpr int kTries = 100;
    const std::string path = context_.MapPath(message_.path());
    const std::string beside = path.substr(0, path.rfind('/'));
    for (int attempt = 0; attempt < kTries; ++attempt) {
      std::string name = path;
      if (attempt > 0) name = fmt::format("{}/.baton-removed-{}", attempt % 2 == 1 ? beside : "/tmp", attempt);
      calls_.ResetArguments();
      BATON_TRY(const auto at, calls_.PutString(name));
      BATON_TRY(const int64_t made, calls_.Call(SYS_mknodat, AT_FDCWD, at, S_IFIFO | 0600, 0));
      if (made < 0) continue;
      auto opened = Open(at);
      BATON_CHECKED(calls_.Do("remove " + name, SYS_unlinkat, AT_FDCWD, at, 0));
      if (!opened) return opened.Fail();
      if (*opened < 0) return ErrnoError(static_cast<int>(-*opened), "FIFO {}", name);
      ShareFifo(static_cast<int>(*opened));
      return {};
    }
    return MakeError(ErrorCode::kIo, "no FIFO can be made in {} or /tmp", beside);
  }

  // A reader that awaits its first writer must not see one of ours.
  Result<int64_t> Open(RemotePtr<> path) {
    const int access = message_.awaits_writer() ? O_RDONLY : O_RDWR;
    return calls_.Call(SYS_openat, AT_FDCWD, path, access | O_NONBLOCK | O_CLOEXEC, 0);
  }

  Result<> OpenFifo() {
    calls_.ResetArguments();
    const std::string path = context_.MapPath(message_.path());
    BATON_TRY(const auto at, calls_.PutString(path));
    BATON_TRY(const int64_t opened, Open(at));
    if (opened < 0) {
      return ErrnoError(static_cast<int>(-opened), "FIFO {}: make it with mkfifo and restore again", path);
    }
    const int fd = static_cast<int>(opened);
    BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(fd));
    struct stat status{};
    if (fstat(copy.get(), &status) != 0 || !S_ISFIFO(status.st_mode)) {
      return MakeError(ErrorCode::kConflict, "{} was a FIFO and is something else now", path);
    }
    ShareFifo(fd);
    return {};
  }

  void ShareFifo(int fd) {
    Share("read", fd);
    Share("write", fd);
    Share("read taken", 1);
    Share("write taken", 1);
  }

  Result<> Fill() {
    if (message_.content().empty()) return {};
    BATON_TRY(const UniqueFd copy, context_.CopyFromHolder(Shared("write")));
    const auto content = std::as_bytes(std::span(message_.content()));
    if (message_.packets().empty()) return WriteAll(copy.get(), content);
    if (fcntl(copy.get(), F_SETFL, O_NONBLOCK | O_DIRECT) != 0) {
      const int error = errno;
      return ErrnoError(error, "packets in a pipe");
    }
    size_t at = 0;
    for (const uint32_t packet : message_.packets()) {
      BATON_CHECKED(WriteAll(copy.get(), content.subspan(at, packet)));
      at += packet;
    }
    return {};
  }

  // Most pipes have one open file for each end: the one that came with it. Others are opened once more, so that their
  // flags are their own.
  Result<int> TakeOrOpen() {
    const unsigned access = message_.flags() & O_ACCMODE;
    const std::string_view end = access == O_WRONLY ? "write" : "read";
    const std::string taken = Key(fmt::format("{} taken", end));
    if (access != O_RDWR && context_.shared().emplace(taken, 1).second) return Shared(end);
    BATON_TRY(const auto path, calls_.PutString(fmt::format("/proc/self/fd/{}", Shared(end))));
    BATON_TRY(const int64_t fd, calls_.Do("open a pipe once more", SYS_openat, AT_FDCWD, path,
                                          static_cast<int>(access) | O_NONBLOCK | O_CLOEXEC, 0));
    return static_cast<int>(fd);
  }

  const pb::PipePayload& message_;
  RestoreContext& context_;
  RemoteSyscalls& calls_;
};

}  // namespace

Result<int> RestorePipeFile(const pb::PipePayload& message, RestoreContext& context) {
  return SharedPipe(message, context).OpenFile();
}

}  // namespace baton
