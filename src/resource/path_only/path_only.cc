#include "resource/path_only/path_only.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "resource/common/payload.h"
#include "resource/common/remote_sockets.h"
#include "resource/path_only/path_only.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "path_only";
constexpr std::array<mode_t, 4> kTypes{S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};

using Payload = pb::PathOnlyPayload;

bool IsOfType(mode_t mode) { return std::ranges::find(kTypes, mode & S_IFMT) != kTypes.end(); }

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  constexpr unsigned kAllowed = O_PATH | O_NOFOLLOW;
  const bool sane = message.path().starts_with('/') && message.path().find('\0') == std::string::npos &&
                    IsOfType(message.mode()) && (message.mode() & ~(S_IFMT | 07777U)) == 0 &&
                    (message.flags() & O_PATH) != 0 && (message.flags() & ~kAllowed) == 0;
  if (sane) return message;
  return MakeError(ErrorCode::kCorrupt, "named file of type {:o}, flags {:o}, path of {} bytes", message.mode(),
                   message.flags(), message.path().size());
}

// What a socket leaves behind is no more than a name, which is not part of a workspace.
Result<> MakeSocketFile(const Payload& message, const std::string& path, RemoteSyscalls& calls) {
  if ((message.mode() & S_IFMT) != S_IFSOCK) return {};
  calls.ResetArguments();
  BATON_TRY(const auto at, calls.PutString(path));
  BATON_TRY(const int64_t made, calls.Call(SYS_mknodat, AT_FDCWD, at, message.mode(), 0));
  if (made < 0 && made != -EEXIST) return ErrnoError(static_cast<int>(-made), "make {}", path);
  return {};
}

// At the number `to` of the holder.
Result<> OpenName(const Payload& message, int to, RestoreContext& context) {
  const std::string path = context.MapPath(message.path());
  RemoteSyscalls& calls = context.holder();
  BATON_CHECKED(MakeSocketFile(message, path, calls));
  calls.ResetArguments();
  BATON_TRY(const auto at, calls.PutString(path));
  BATON_TRY(const int64_t fd, calls.Do(fmt::format("name {}", path), SYS_openat, AT_FDCWD, at,
                                       static_cast<int>(message.flags()) | O_CLOEXEC, 0));
  BATON_CHECKED(RemoteSockets(calls).Move(static_cast<int>(fd), to));
  BATON_TRY(const UniqueFd copy, context.CopyFromHolder(to));
  struct stat status{};
  if (fstat(copy.get(), &status) == 0 && (status.st_mode & S_IFMT) == (message.mode() & S_IFMT)) return {};
  return MakeError(ErrorCode::kConflict, "{} is of another type now (mode {:o}, was {:o})", path, status.st_mode,
                   message.mode());
}

class PathOnlyKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return (file.info.flags & O_PATH) != 0 && file.link.starts_with('/') && IsOfType(file.status.st_mode);
  }

  Result<> Check(const FdFacts& file, const CaptureContext&) const override {
    struct stat status{};
    const std::string path = fmt::format("/proc/{}/root{}", file.host_pid, file.link);
    const bool there =
        lstat(path.c_str(), &status) == 0 && status.st_dev == file.status.st_dev && status.st_ino == file.status.st_ino;
    if (there) return {};
    return MakeError(ErrorCode::kNotSupported, "names a file (O_PATH) that is not at its path any more; close it");
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext&) const override {
    Payload message;
    message.set_path(file.link);
    message.set_mode(file.status.st_mode);
    message.set_flags(file.info.flags & (O_PATH | O_NOFOLLOW));
    return message.SerializeAsString();
  }

  // Connect replaces it: a socket's name may be one that is bound again.
  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_CHECKED(Parse(payload));
    BATON_TRY(const auto root, context.holder().PutString("/"));
    BATON_TRY(const int64_t fd,
              context.holder().Do("open /", SYS_openat, AT_FDCWD, root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    return static_cast<int>(fd);
  }

  std::vector<std::string_view> DependsOn() const override { return {"unix_socket"}; }

  Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const override {
    for (const MadeFile& file : files) {
      BATON_TRY(const auto message, Parse(file.payload));
      if (auto named = OpenName(message, file.fd, context); !named) return named.Fail("open file {}", file.id);
    }
    return {};
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return fmt::format("name of {}", message.path());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakePathOnlyKind() { return std::make_unique<PathOnlyKind>(); }

}  // namespace baton
