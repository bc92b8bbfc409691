#include "resource/common/file_places.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "base/file.h"
#include "proc/process_files.h"
#include "resource/common/payload.h"

namespace baton {
namespace {

constexpr size_t kMaxLookedAt = 100'000;  // names that are read while the unit stands still
constexpr std::string_view kDeleted = " (deleted)";

// file_handle with room for what any file system uses.
class HandleBuffer {
 public:
  HandleBuffer() { get()->handle_bytes = MAX_HANDLE_SZ; }
  explicit HandleBuffer(const FileHandle& handle) {
    get()->handle_bytes = static_cast<unsigned>(std::min<size_t>(handle.bytes.size(), MAX_HANDLE_SZ));
    get()->handle_type = handle.type;
    std::memcpy(get()->f_handle, handle.bytes.data(), get()->handle_bytes);
  }
  file_handle* get() { return reinterpret_cast<file_handle*>(bytes_.data()); }

 private:
  alignas(file_handle) std::array<std::byte, sizeof(file_handle) + MAX_HANDLE_SZ> bytes_{};
};

std::optional<FileHandle> HandleOf(const std::string& path) {
  HandleBuffer buffer;
  int mount = 0;
  if (name_to_handle_at(AT_FDCWD, path.c_str(), buffer.get(), &mount, 0) != 0) return std::nullopt;
  const file_handle& seen = *buffer.get();
  FileHandle handle;
  handle.type = seen.handle_type;
  handle.bytes.assign(seen.f_handle, seen.f_handle + seen.handle_bytes);
  return handle;
}

Result<std::vector<uint8_t>> ParseBytes(std::string_view hex) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    BATON_TRY(const auto byte, ParseFdInfoNumber<uint8_t>("f_handle", hex.substr(i, 2), 16));
    bytes.push_back(byte);
  }
  return bytes;
}

}  // namespace

dev_t DeviceOf(const FileHandle& handle) {
  constexpr unsigned kMinorBits = 20;
  return makedev(static_cast<unsigned>(handle.device >> kMinorBits),
                 static_cast<unsigned>(handle.device & ((1U << kMinorBits) - 1)));
}

Result<> ReadHandleField(const FdInfo::Field& field, FileHandle& handle) {
  const auto& [key, value] = field;
  if (key == "ino") {
    BATON_TRY(handle.inode, ParseFdInfoNumber(key, value, 16));
  } else if (key == "sdev") {
    BATON_TRY(handle.device, ParseFdInfoNumber(key, value, 16));
  } else if (key == "fhandle-type") {
    BATON_TRY(handle.type, ParseFdInfoNumber<int>(key, value, 16));
  } else if (key == "f_handle") {
    BATON_TRY(handle.bytes, ParseBytes(value));
  }
  return {};
}

Result<std::vector<Place>> PlaceFinder::Find(std::span<const FileHandle> handles) {
  std::vector<Place> places(handles.size());
  for (size_t i = 0; i < handles.size(); ++i) {
    Wanted wanted{&handles[i], &places[i]};
    FindByHandle(wanted);
    FindAmongOpen(wanted);
    wanted_.emplace(handles[i].inode, wanted);
  }
  for (const FdFacts& file : context_.files()) {
    if (!AllFound() && file.link.starts_with('/')) TryAncestors(file.link);
  }
  std::set<std::string> directories;
  for (const FdFacts& file : context_.files()) {
    if (auto directory = ReadProcessLink(file.host_pid, "cwd")) directories.insert(std::move(*directory));
  }
  for (const std::string& directory : directories) {
    TryAncestors(directory);
    if (!AllFound()) Walk(directory);
  }
  for (size_t i = 0; i < handles.size(); ++i) {
    if (!places[i].path.empty() || places[i].open_file != 0) continue;
    return MakeError(ErrorCode::kNotSupported,
                     "watches a file (inode {} on device {}:{}) whose path cannot be told: it is not open, nor in the "
                     "working directory or below it; save as root, or end that watch",
                     handles[i].inode, major(DeviceOf(handles[i])), minor(DeviceOf(handles[i])));
  }
  return places;
}

bool PlaceFinder::AllFound() const {
  return std::ranges::all_of(wanted_, [](const auto& entry) { return entry.second.found; });
}

void PlaceFinder::FindByHandle(Wanted& wanted) const {
  const auto mounts = ReadMountInfo(watcher_.host_pid);
  if (!mounts) return;
  for (const MountInfo& mount : *mounts) {
    if (makedev(mount.dev_major, mount.dev_minor) != DeviceOf(*wanted.handle)) continue;
    const auto root = OpenFile(fmt::format("/proc/{}/root{}", watcher_.host_pid, mount.mount_point), O_PATH);
    if (!root) continue;
    HandleBuffer handle(*wanted.handle);
    // A descriptor that can do more than name a directory is not needed, but O_PATH is not allowed as one of a mount.
    const auto point = OpenFile(fmt::format("/proc/self/fd/{}", root->get()), O_RDONLY | O_NONBLOCK);
    const int opened = point ? open_by_handle_at(point->get(), handle.get(), O_PATH | O_CLOEXEC) : -1;
    if (opened < 0) continue;
    const UniqueFd file(opened);
    const auto path = ReadLink(fmt::format("/proc/self/fd/{}", opened));
    if (!path || path->ends_with(kDeleted)) continue;
    const auto seen = HandleOf(fmt::format("/proc/{}/root{}", watcher_.host_pid, *path));
    if (!seen || *seen != *wanted.handle) continue;
    wanted.place->path = *path;
    wanted.found = true;
    return;
  }
}

void PlaceFinder::FindAmongOpen(Wanted& wanted) const {
  if (wanted.found) return;
  for (const FdFacts& file : context_.files()) {
    const bool same = file.link.starts_with('/') && file.status.st_ino == wanted.handle->inode &&
                      (file.IsRegular() || file.IsDirectory());
    if (!same || (file.status.st_dev != DeviceOf(*wanted.handle) && file.status.st_nlink != 0)) continue;
    wanted.found = true;
    if (file.status.st_nlink == 0) {
      wanted.place->open_file = file.id;
    } else {
      wanted.place->path = file.link;
    }
    return;
  }
}

void PlaceFinder::TryPath(const std::string& path) {
  const std::string seen_from_here = fmt::format("/proc/{}/root{}", watcher_.host_pid, path);
  struct stat status{};
  if (lstat(seen_from_here.c_str(), &status) != 0) return;
  const auto [begin, end] = wanted_.equal_range(status.st_ino);
  for (auto entry = begin; entry != end; ++entry) {
    Wanted& wanted = entry->second;
    if (wanted.found) continue;
    const auto handle = HandleOf(seen_from_here);
    if (!handle || *handle != *wanted.handle) continue;
    wanted.place->path = path;
    wanted.found = true;
  }
}

// "/a/b/c": itself, "/a/b", "/a" and "/".
void PlaceFinder::TryAncestors(const std::string& path) {
  for (std::string at = path; at.size() > 1; at.resize(at.rfind('/'))) TryPath(at);
  TryPath("/");
}

// Level by level: opening a directory is an event for those who watch it, so none is opened that need not be.
void PlaceFinder::Walk(const std::string& directory) {
  std::deque<std::string> todo{directory};
  while (!todo.empty() && looked_at_ < kMaxLookedAt) {
    const std::string path = std::move(todo.front());
    todo.pop_front();
    const std::string seen_from_here = fmt::format("/proc/{}/root{}", watcher_.host_pid, path);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(seen_from_here.c_str()), closedir);
    while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == ".." || ++looked_at_ > kMaxLookedAt) continue;
      const std::string child = fmt::format("{}/{}", path == "/" ? "" : path, name);
      if (wanted_.contains(entry->d_ino)) TryPath(child);
      if (entry->d_type == DT_DIR) todo.push_back(child);
    }
    if (AllFound()) return;
  }
}

}  // namespace baton
