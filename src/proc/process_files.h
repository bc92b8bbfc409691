// Reads the files of one process under /proc and hands them to the parsers beside this file.
//
// `tid`, where taken, reads /proc/PID/task/TID/NAME instead of /proc/PID/NAME (the latter speaks of the main thread).
// Numbers are those of the pid namespace that /proc belongs to: the caller's.
//
// The process may be of another user, where we own its user namespace (a capsule with lent ids): what its files refuse
// to us is asked for in there (namespace_visit.h; decision 12).
//
// Errors: kTaskGone if there is no such process (thread) any more, at any point of the reading; kNotFound if it is
// there but the file is not (a closed descriptor; an option that this kernel was built without); kIo with EACCES or
// EPERM without the right to look; kCorrupt as of the parser, with the file's name in front. Nothing here is a snapshot
// unless the process is stopped. Thread-safe: free functions without state.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "proc/cgroup.h"
#include "proc/fdinfo.h"
#include "proc/limits.h"
#include "proc/maps.h"
#include "proc/mountinfo.h"
#include "proc/sched.h"
#include "proc/smaps.h"
#include "proc/stat.h"
#include "proc/status.h"
#include "proc/syscall.h"
#include "proc/timens_offsets.h"
#include "proc/timers.h"

namespace baton {

Result<std::vector<MapsEntry>> ReadMaps(pid_t pid);
Result<std::vector<SmapsEntry>> ReadSmaps(pid_t pid);
Result<ProcStat> ReadStat(pid_t pid, std::optional<pid_t> tid = std::nullopt);
Result<ProcStatus> ReadStatus(pid_t pid, std::optional<pid_t> tid = std::nullopt);
Result<ProcSyscall> ReadSyscall(pid_t pid, std::optional<pid_t> tid = std::nullopt);
Result<ProcSched> ReadSched(pid_t pid, std::optional<pid_t> tid = std::nullopt);
Result<FdInfo> ReadFdInfo(pid_t pid, int fd);
Result<std::vector<MountInfo>> ReadMountInfo(pid_t pid);
Result<std::vector<ProcTimer>> ReadTimers(pid_t pid);
Result<std::vector<ProcLimit>> ReadLimits(pid_t pid);
Result<std::vector<ProcCgroup>> ReadCgroup(pid_t pid);
Result<TimensOffsets> ReadTimensOffsets(pid_t pid);
Result<std::vector<std::string>> ReadCmdline(pid_t pid);
Result<std::vector<std::string>> ReadEnviron(pid_t pid);
// The name as the kernel has it, without the newline that the file ends with.
Result<std::string> ReadComm(pid_t pid, std::optional<pid_t> tid = std::nullopt);
// Raw content of /proc/PID/NAME (or of the task's) for what has no parser here: "auxv", "personality", "oom_score_adj".
Result<std::string> ReadProcessFile(pid_t pid, const std::string& name, std::optional<pid_t> tid = std::nullopt);
// The same for writing.
Result<> WriteProcessFile(pid_t pid, const std::string& name, std::string_view content);
// open(2) of such a file, with O_CLOEXEC added.
Result<UniqueFd> OpenProcessFile(pid_t pid, const std::string& name, int flags,
                                 std::optional<pid_t> tid = std::nullopt);
// stat(2) of a path as the process sees it, links followed.
Result<struct stat> StatBelowRoot(pid_t pid, const std::string& path);

// Where a link of the process leads: `name` is "exe", "cwd", "root", "ns/pid" ...
Result<std::string> ReadProcessLink(pid_t pid, const std::string& name);
// Where /proc/PID/fd/N leads: "/a/file", "/a/file (deleted)", "pipe:[123]", "anon_inode:[eventfd]".
Result<std::string> ReadFdLink(pid_t pid, int fd);

// All three ascending.
Result<std::vector<pid_t>> ListTasks(pid_t pid);
Result<std::vector<int>> ListFds(pid_t pid);
// By whose number /proc and system calls show what all threads of a process share (memory, descriptors): its own, or,
// if its first thread has ended, that of another that lives.
pid_t LivingTask(pid_t pid);
// The children of all its threads. A thread that ends meanwhile is passed over (the kernel has given its children to
// another thread of the process): call it on a stopped process, or until two calls agree.
Result<std::vector<pid_t>> ListChildren(pid_t pid);
// Those of one thread, the oldest first.
Result<std::vector<pid_t>> ListChildren(pid_t pid, pid_t tid);

// Whether this machine swaps at all (/proc/swaps).
Result<bool> AnySwap();

}  // namespace baton
