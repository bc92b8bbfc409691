// Files: opening, reading and writing whole, durably where asked. Every descriptor is opened close-on-exec.
// Error codes: see ErrnoError. Thread-safety: free functions without state.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

// open(2) with O_CLOEXEC added.
Result<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode = 0644);
// openat(2) with O_CLOEXEC added.
Result<UniqueFd> OpenFileAt(int dir_fd, const std::string& path, int flags, mode_t mode = 0644);

// The whole content; works for /proc files, whose size is not known beforehand. kIo above `max_bytes`.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{256} << 20);
Result<std::string> ReadFd(int fd, size_t max_bytes = size_t{256} << 20);
// Writes all bytes, however often write(2) is interrupted or short.
Result<> WriteAll(int fd, std::span<const std::byte> bytes);
Result<> WriteAll(int fd, std::string_view text);
Result<> PwriteAll(int fd, std::span<const std::byte> bytes, uint64_t offset);
// Reads exactly `bytes.size()`; kCorrupt at an early end of file.
Result<> ReadExactly(int fd, std::span<std::byte> bytes);
Result<> PreadExactly(int fd, std::span<std::byte> bytes, uint64_t offset);

// Replaces `path` durably: writes `path`.tmp, syncs it, renames it over `path`, syncs the directory.
Result<> WriteFileDurably(const std::string& path, std::string_view content, mode_t mode = 0600);
// Creates or truncates `path`; not durable.
Result<> WriteFile(const std::string& path, std::string_view content, mode_t mode = 0644);
Result<> SyncFd(int fd, std::string_view what);
Result<> SyncDirectory(const std::string& path);
// mkdir -p with `mode` for what is made.
Result<> MakeDirectories(const std::string& path, mode_t mode = 0700);
// A directory (0700) at a place where others may write, too: made, or found to be the caller's own. kConflict where it
// is anything else, which somebody else may have put there.
Result<> MakeOwnDirectory(const std::string& path);

// Whether `path`, links followed, is a regular file; kNotFound if it is not there.
Result<bool> IsRegularFile(const std::string& path);
// readlink(2), however long the target.
Result<std::string> ReadLink(const std::string& path);
Result<UniqueFd> DupFd(int fd);
// pidfd_open(2), also of a thread that is not the first one of its process (PIDFD_THREAD, Linux 6.9; kNotSupported
// before). kTaskGone if it does not exist.
Result<UniqueFd> OpenPidFd(pid_t tid);

}  // namespace baton
