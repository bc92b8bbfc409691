#include "workspace/host_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <map>
#include <optional>

#include "base/file.h"
#include "workspace/directory.h"
#include "workspace/walk.h"

namespace baton {
namespace {

// The value of "flags:" in /proc/PID/fdinfo/FD, octal.
std::optional<int> OpenFlags(const std::string& fdinfo) {
  constexpr std::string_view kKey = "flags:\t";
  const size_t at = fdinfo.find(kKey);
  if (at == std::string::npos) return std::nullopt;
  int flags = 0;
  const char* const begin = fdinfo.data() + at + kKey.size();
  const auto parsed = std::from_chars(begin, fdinfo.data() + fdinfo.size(), flags, 8);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return flags;
}

// Calls `found` for every regular file that process `pid` has open for writing. Processes end and are other users':
// what cannot be looked at is skipped.
template <typename Found>
void ForEachWritable(const std::string& pid, Found found) {
  const auto fds = OpenFile("/proc/" + pid + "/fd", O_RDONLY | O_DIRECTORY);
  if (!fds) return;
  const auto items = ListDirectory(fds->get());
  if (!items) return;
  for (const DirectoryItem& item : *items) {
    struct stat status{};
    if (fstatat(fds->get(), item.name.c_str(), &status, 0) != 0 || !S_ISREG(status.st_mode)) continue;
    const auto fdinfo = ReadFile("/proc/" + pid + "/fdinfo/" + item.name);
    if (!fdinfo) continue;
    const auto flags = OpenFlags(*fdinfo);
    if (flags && (*flags & O_ACCMODE) != O_RDONLY) found(FileKey{status.st_dev, status.st_ino});
  }
}

struct Difference {
  std::string text;  // empty: none
  bool longer = false;
  bool cut = false;       // may be cut back without being asked
  bool accepted = false;  // by --files=truncate
};

Difference Compare(const pb::HostFileState& file) {
  const auto now = StatusOf(AT_FDCWD, file.path());
  if (!now && now.error().saved_errno() == ENOENT) return {.text = "is missing"};
  if (!now) return {.text = now.error().ToString()};
  const FileStatus& status = now->status;
  if (status.file_type != S_IFREG) return {.text = "is no regular file any more"};
  const bool other_inode = status.inode != file.inode();
  if (status.size < file.size()) return {.text = fmt::format("was {} bytes and has {} now", file.size(), status.size)};
  if (status.size > file.size()) {
    return {.text = fmt::format("grew from {} to {} bytes{}", file.size(), status.size,
                                other_inode ? " and is another file" : ""),
            .longer = true,
            .cut = file.own_append() && !other_inode,
            .accepted = true};
  }
  if (other_inode) return {.text = "is another file of the same size", .accepted = true};
  if (status.mtime_ns != file.mtime_ns()) return {.text = "was written to since", .accepted = true};
  return {};
}

Result<> Cut(const pb::HostFileState& file) {
  // The check may be long ago and anything may have taken its place: never through a link, never a device.
  BATON_TRY(const UniqueFd fd, OpenFile(file.path(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  BATON_TRY(const NamedStatus named, StatusOf(fd.get(), ""));
  if (named.status.file_type != S_IFREG || named.status.size < file.size()) {
    return MakeError(ErrorCode::kConflict, "{} is being changed by another program", file.path());
  }
  const int failed = ftruncate(fd.get(), static_cast<off_t>(file.size()));
  if (const int error = errno; failed != 0) return ErrnoError(error, "cut {} to {} bytes", file.path(), file.size());
  return {};
}

}  // namespace

Result<ChangedFiles> ParseChangedFiles(std::string_view text) {
  if (text.empty()) return ChangedFiles::kError;
  if (text == "truncate") return ChangedFiles::kTruncate;
  if (text == "ignore") return ChangedFiles::kIgnore;
  return MakeError(ErrorCode::kInvalidArgument, "--files={}: it is 'truncate' or 'ignore'", text);
}

Result<pb::HostFiles> RecordHostFiles(const std::vector<HostFile>& files) {
  std::map<std::string, bool> append_only;
  for (const HostFile& file : files) {
    // Named twice (two descriptors): only if both say so.
    const auto [at, is_new] = append_only.emplace(file.path, file.append_only);
    if (!is_new) at->second = at->second && file.append_only;
  }
  pb::HostFiles record;
  for (const auto& [path, append] : append_only) {
    const auto named = StatusOf(AT_FDCWD, path);
    if (!named && named.error().code() == ErrorCode::kNotFound) continue;
    if (!named) return MakeError(named.error().code(), "{}", named.error().ToString());
    if (named->status.file_type != S_IFREG) continue;
    pb::HostFileState& state = *record.add_files();
    state.set_path(path);
    state.set_device(named->status.device);
    state.set_inode(named->status.inode);
    state.set_size(named->status.size);
    state.set_mtime_ns(named->status.mtime_ns);
    state.set_own_append(append);
  }
  return record;
}

Result<> NoteOtherWriters(pb::HostFiles& record, const std::set<int>& job_pids) {
  std::map<FileKey, pb::HostFileState*> own;
  for (pb::HostFileState& file : *record.mutable_files()) {
    if (file.own_append()) own.emplace(FileKey{file.device(), file.inode()}, &file);
  }
  if (own.empty()) return {};
  BATON_TRY(const UniqueFd proc, OpenFile("/proc", O_RDONLY | O_DIRECTORY));
  BATON_TRY(const std::vector<DirectoryItem> items, ListDirectory(proc.get()));
  for (const DirectoryItem& item : items) {
    int pid = 0;
    const char* const end = item.name.data() + item.name.size();
    if (const auto parsed = std::from_chars(item.name.data(), end, pid); parsed.ptr != end) continue;
    if (job_pids.contains(pid)) continue;
    ForEachWritable(item.name, [&](const FileKey& key) {
      if (const auto found = own.find(key); found != own.end()) found->second->set_own_append(false);
    });
  }
  return {};
}

Result<HostFilesReport> CheckHostFiles(const pb::HostFiles& record, ChangedFiles mode, bool from_pid) {
  HostFilesReport report;
  if (mode == ChangedFiles::kIgnore) return report;
  const bool asked = mode == ChangedFiles::kTruncate;
  std::vector<const pb::HostFileState*> to_cut;
  std::string refused;
  for (const pb::HostFileState& file : record.files()) {
    const Difference difference = Compare(file);
    if (difference.text.empty()) continue;
    const bool own = difference.cut && !from_pid;
    if (difference.longer && (own || asked)) {
      to_cut.push_back(&file);
    } else if (difference.accepted && asked) {
      report.notes.push_back(fmt::format("{} {}", file.path(), difference.text));
    } else {
      refused += fmt::format("{}{} {}", refused.empty() ? "" : "; ", file.path(), difference.text);
    }
  }
  if (!refused.empty()) {
    return MakeError(
        ErrorCode::kConflict,
        "files changed since the checkpoint: {}. Put them back, or resume with --files=truncate (cuts back "
        "what grew, accepts other times) or --files=ignore (takes all as they are)",
        refused);
  }
  for (const pb::HostFileState* file : to_cut) {
    BATON_CHECKED(Cut(*file));
    report.cut.push_back(file->path());
  }
  return report;
}

}  // namespace baton
