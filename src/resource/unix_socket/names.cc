#include "resource/unix_socket/names.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "resource/common/unix_diag.h"

namespace baton {
namespace {

// A directory of the holder's that goes back when this does.
class DirectoryChange {
 public:
  static Result<DirectoryChange> Begin(RemoteSyscalls& calls) {
    calls.ResetArguments();
    BATON_TRY(const auto dot, calls.PutString("."));
    BATON_TRY(const int64_t fd, calls.Do("open .", SYS_openat, AT_FDCWD, dot, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    return DirectoryChange(calls, fd);
  }
  DirectoryChange(DirectoryChange&& other) noexcept : calls_(other.calls_), before_(std::exchange(other.before_, -1)) {}
  DirectoryChange& operator=(DirectoryChange&&) = delete;
  ~DirectoryChange() {
    if (before_ < 0) return;
    [[maybe_unused]] auto back = calls_.Call(SYS_fchdir, before_);
    [[maybe_unused]] auto closed = calls_.Call(SYS_close, before_);
  }

 private:
  DirectoryChange(RemoteSyscalls& calls, int64_t before) : calls_(calls), before_(before) {}
  RemoteSyscalls& calls_;
  int64_t before_;
};

// One call with a path, in `calls`.
template <typename... Args>
Result<int64_t> OnPath(RemoteSyscalls& calls, long number, const std::string& path, Args... more) {
  calls.ResetArguments();
  BATON_TRY(const auto at, calls.PutString(path));
  return calls.Call(number, AT_FDCWD, at, more...);
}

Result<> ChangeDirectory(RemoteSyscalls& calls, const std::string& path) {
  calls.ResetArguments();
  BATON_TRY(const auto at, calls.PutString(path));
  BATON_CHECKED(calls.Do(fmt::format("enter {}", path), SYS_chdir, at));
  return {};
}

// "a/b/c" -> {"a", "a/b"}
std::vector<std::string> ParentsOf(const std::string& path) {
  std::vector<std::string> parents;
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    parents.push_back(path.substr(0, at));
  }
  return parents;
}

// The holder's root is an empty directory while this exists; both are gone after it.
class EmptyRoot {
 public:
  static Result<EmptyRoot> Enter(RemoteSyscalls& calls) {
    BATON_TRY(std::string path, MakeDirectory(calls));
    EmptyRoot root(calls, std::move(path));
    calls.ResetArguments();
    BATON_TRY(const auto slash, calls.PutString("/"));
    BATON_TRY(root.root_, calls.Do("open /", SYS_openat, AT_FDCWD, slash, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    BATON_TRY(const auto at, calls.PutString(root.path_));
    BATON_CHECKED(calls.Do("chroot", SYS_chroot, at));
    BATON_CHECKED(calls.Do("chdir", SYS_chdir, slash));
    return root;
  }
  EmptyRoot(EmptyRoot&& other) noexcept
      : calls_(other.calls_), path_(std::exchange(other.path_, {})), root_(std::exchange(other.root_, -1)) {}
  EmptyRoot& operator=(EmptyRoot&&) = delete;
  ~EmptyRoot() {
    if (path_.empty()) return;
    if (root_ >= 0) Leave();
    [[maybe_unused]] auto removed = OnPath(calls_, SYS_unlinkat, path_, AT_REMOVEDIR);
  }

 private:
  EmptyRoot(RemoteSyscalls& calls, std::string path) : calls_(calls), path_(std::move(path)) {}

  static Result<std::string> MakeDirectory(RemoteSyscalls& calls) {
    uint64_t random = 0;
    [[maybe_unused]] const ssize_t got = getrandom(&random, sizeof random, 0);
    for (const std::string_view parent : {"/tmp", "/dev/shm", "/var/tmp", "/run"}) {
      std::string path = fmt::format("{}/.baton-{:016x}", parent, random);
      BATON_TRY(const int64_t made, OnPath(calls, SYS_mkdirat, path, 0700));
      if (made == 0) return path;
    }
    return MakeError(ErrorCode::kUnavailable, "there is no directory to write in (/tmp, /dev/shm, /var/tmp, /run)");
  }

  void Leave() {
    calls_.ResetArguments();
    [[maybe_unused]] auto there = calls_.Call(SYS_fchdir, root_);
    if (const auto dot = calls_.PutString(".")) {
      [[maybe_unused]] auto back = calls_.Call(SYS_chroot, *dot);
    }
    [[maybe_unused]] auto closed = calls_.Call(SYS_close, root_);
  }

  RemoteSyscalls& calls_;
  std::string path_;
  int64_t root_ = -1;
};

}  // namespace

std::vector<std::byte> UnixAddress(const std::string& name) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const size_t length = std::min(name.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, name.data(), length);
  const auto bytes = std::as_bytes(std::span(&address, 1)).first(offsetof(sockaddr_un, sun_path) + length);
  return {bytes.begin(), bytes.end()};
}

Result<> NameMaker::Bind(int fd, const pb::UnixName& name) {
  if (name.name().empty()) return {};
  if (!name.present()) return BindHidden(fd, name.name());
  auto bound = BindAtPlace(fd, name);
  if (!bound) return bound.Fail("the name {} of a socket", name.name());
  return {};
}

Result<> NameMaker::BindHidden(int fd, const std::string& name) {
  if (name.empty()) return {};
  if (name.front() != '\0') return BindInEmptyRoot(fd, name);
  auto bound = sockets_.Bind(fd, UnixAddress(name));
  if (!bound) return bound.Fail("the abstract name @{} of a socket", name.substr(1));
  abstract_[fd] = name;
  return {};
}

Result<> NameMaker::BindAtPlace(int fd, const pb::UnixName& name) {
  BATON_TRY(const DirectoryChange change, DirectoryChange::Begin(sockets_.calls()));
  const bool absolute = name.name().front() == '/';
  if (!absolute) BATON_CHECKED(ChangeDirectory(sockets_.calls(), context_.MapPath(name.directory())));
  const std::string path = absolute ? context_.MapPath(name.name()) : name.name();
  BATON_CHECKED(MakeRoom(path));
  BATON_CHECKED(sockets_.Bind(fd, UnixAddress(path)));
  BATON_CHECKED(SetAttributes(path, name));
  return NotePlace(fd, path);
}

// The socket that a killed program leaves behind; not one that somebody uses.
Result<> NameMaker::MakeRoom(const std::string& path) {
  RemoteSyscalls& calls = sockets_.calls();
  calls.ResetArguments();
  BATON_TRY(const auto at, calls.PutString(path));
  BATON_TRY(const auto out, calls.PutValue(std::array<std::byte, sizeof(struct stat)>{}));
  BATON_TRY(const int64_t looked, calls.Call(SYS_newfstatat, AT_FDCWD, at, out, AT_SYMLINK_NOFOLLOW));
  if (looked < 0) return {};
  BATON_TRY(const struct stat status, calls.Get(out.As<struct stat>()));
  if (!S_ISSOCK(status.st_mode)) return MakeError(ErrorCode::kConflict, "something else is at {} now", path);
  BATON_TRY(UnixDiagQuery query, UnixDiagQuery::Open(calls.pid()));
  BATON_TRY(const auto all, query.All());
  const bool used = std::ranges::any_of(
      all, [&](const UnixDiag& other) { return other.file_inode == static_cast<uint32_t>(status.st_ino); });
  if (used) return MakeError(ErrorCode::kConflict, "another socket has it now");
  BATON_TRY(const int64_t removed, OnPath(calls, SYS_unlinkat, path, 0));
  if (removed < 0) return ErrnoError(static_cast<int>(-removed), "remove what a socket left at {}", path);
  return {};
}

Result<> NameMaker::SetAttributes(const std::string& path, const pb::UnixName& name) {
  // The owner as far as we may.
  BATON_CHECKED(OnPath(sockets_.calls(), SYS_fchownat, path, name.uid(), name.gid(), AT_SYMLINK_NOFOLLOW));
  BATON_TRY(const int64_t set, OnPath(sockets_.calls(), SYS_fchmodat, path, name.mode() & 07777));
  if (set < 0) return ErrnoError(static_cast<int>(-set), "mode of {}", path);
  return {};
}

Result<> NameMaker::NotePlace(int fd, const std::string& path) {
  BATON_TRY(const int64_t place, OnPath(sockets_.calls(), SYS_openat, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
  if (place < 0) return ErrnoError(static_cast<int>(-place), "open {}", path);
  places_[fd] = static_cast<int>(place);
  return {};
}

Result<> NameMaker::BindInEmptyRoot(int fd, const std::string& name) {
  RemoteSyscalls& calls = sockets_.calls();
  BATON_TRY(const DirectoryChange change, DirectoryChange::Begin(calls));
  BATON_TRY(const EmptyRoot root, EmptyRoot::Enter(calls));
  std::vector<std::string> parents = ParentsOf(name);
  for (const std::string& parent : parents) BATON_CHECKED(OnPath(calls, SYS_mkdirat, parent, 0700));
  auto bound = sockets_.Bind(fd, UnixAddress(name));
  if (bound) bound = NotePlace(fd, name);
  [[maybe_unused]] auto removed = OnPath(calls, SYS_unlinkat, name, 0);
  std::ranges::reverse(parents);
  for (const std::string& parent : parents) BATON_CHECKED(OnPath(calls, SYS_unlinkat, parent, AT_REMOVEDIR));
  if (!bound) return bound.Fail("the former name {} of a socket", name);
  return {};
}

Result<std::vector<std::byte>> NameMaker::AddressOf(int fd) {
  if (const auto abstract = abstract_.find(fd); abstract != abstract_.end()) return UnixAddress(abstract->second);
  const auto place = places_.find(fd);
  if (place == places_.end()) return MakeError(ErrorCode::kNotFound, "a socket that must be reached has no name");
  BATON_TRY(const int64_t pid, sockets_.calls().Do("getpid", SYS_getpid));
  return UnixAddress(fmt::format("/proc/{}/fd/{}", pid, place->second));
}

Result<std::vector<std::byte>> NameMaker::OwnAddressOf(int fd, std::optional<UniqueFd>& own) {
  const auto place = places_.find(fd);
  if (place == places_.end()) return AddressOf(fd);
  BATON_TRY(UniqueFd copy, context_.CopyFromHolder(place->second));
  own.emplace(std::move(copy));
  return UnixAddress(fmt::format("/proc/self/fd/{}", own->get()));
}

}  // namespace baton
