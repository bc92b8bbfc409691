// The one interface of a resource kind: a sort of kernel object that a process holds by a descriptor. Adding one
// touches its own folder src/resource/<kind>/ and nothing else (CMake collects the folders and writes the table of
// factories).
//
// Capture: every open file description of the unit ("open file" for short: what dup and fork share) is claimed by
// exactly one kind, which turns it into a record. Everything that can be refused is refused in Check, before anything
// is touched. Restore: the open file is made in the *holder*, a blank process inside the target's namespaces, by system
// calls made in it; Connect joins those of one kind that belong together; the core then copies each into every process
// that had it, with its number and close-on-exec flag. Arm runs last, when every process has all its descriptors.
//
// Kinds never include one another; what two need moves to resource/common or task.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "image/reader.h"
#include "proc/fdinfo.h"
#include "task/remote_syscalls.h"

namespace baton {

// One descriptor that refers to an open file. Numbers as the unit sees them.
struct FdUser {
  pid_t ns_pid = 0;
  int fd = -1;
  bool close_on_exec = false;
  pid_t host_pid = 0;  // at the capture only: the process as we see it
};

// What is known of an open file from outside.
struct FdFacts {
  uint32_t id = 0;        // unique in the unit, stable in the image
  pid_t host_pid = 0;     // one of its holders, as we see it, and the descriptor there
  int fd = -1;            // -1: nobody has a descriptor, it is carried by another open file of that process
  std::string link;       // /proc/PID/fd/N
  struct stat status{};   // fstat of it
  uint64_t fs_magic = 0;  // fstatfs f_type; 0 if unknown
  FdInfo info;            // /proc/PID/fdinfo/N at the freeze
  int copy = -1;          // the same open file in our process (pidfd_getfd); borrowed, valid during the capture
  std::vector<FdUser> users;

  bool IsFifo() const { return S_ISFIFO(status.st_mode); }
  bool IsRegular() const { return S_ISREG(status.st_mode); }
  bool IsDirectory() const { return S_ISDIR(status.st_mode); }
  bool IsCharDevice() const { return S_ISCHR(status.st_mode); }
  bool IsSocket() const { return S_ISSOCK(status.st_mode); }
  // "anon_inode:[eventpoll]" and the like
  bool IsAnonInode(std::string_view name) const { return link == name; }
};

// What a kind may ask about the rest of the unit while it is captured.
class CaptureContext {
 public:
  virtual ~CaptureContext() = default;
  // All open files of the unit.
  virtual std::span<const FdFacts> files() const = 0;
  // The open file behind a descriptor of a process of the unit (its host pid), if it is one.
  virtual const FdFacts* Find(pid_t host_pid, int fd) const = 0;
  // The open file behind a descriptor of our own (one that ResourceKind::Carried gave, or another copy), if it is one.
  virtual const FdFacts* FindCopy(int own_fd) const = 0;
  // The number the unit uses for a process that we see as `host_pid`; none if it is not in the unit.
  virtual std::optional<pid_t> NsPid(pid_t host_pid) const = 0;
  // Is this one of the unit's own pids (as the unit sees it)?
  virtual bool HasProcess(pid_t ns_pid) const = 0;
  // Bytes that belong to the record but are better kept as pages (deleted files, pipe contents above some KiB).
  virtual void AddContent(std::string space, std::vector<std::byte> bytes) = 0;
  // Whether it has been added already: several open files may be one file.
  virtual bool HasContent(std::string_view) const { return false; }
  // TCP connections to outside the unit are to be saved as reset by their other end.
  virtual bool ResetsTcpOutside() const { return false; }
  // What a kind has found out about an open file (by its id), for its later calls of the same capture; empty at first.
  virtual std::shared_ptr<const void>& Memo(uint32_t id) const = 0;
  // Content that is too large for memory is not asked for here: kinds refuse it in Check.
};

// What a kind may use while an open file is made again.
class RestoreContext {
 public:
  virtual ~RestoreContext() = default;
  // The holder. Arguments are reset between kinds' calls.
  virtual RemoteSyscalls& holder() = 0;
  // Objects that several open files of one kind share (both ends of a pipe): holder descriptors by key, closed at the
  // end.
  virtual std::map<std::string, int>& shared() = 0;
  // The saved content of AddContent; NotFound without.
  virtual Result<std::vector<std::byte>> Content(std::string_view space) = 0;
  // A copy in our process of one of the holder's descriptors (pidfd_getfd): for writes and ioctls from outside.
  virtual Result<UniqueFd> CopyFromHolder(int fd) = 0;
  // Where a path of the capture is now (--map-path, a workspace in another place).
  virtual std::string MapPath(const std::string& path) = 0;
  // The descriptor in the holder of another open file, of any kind. REQUIRES: called from Connect. kCorrupt if there is
  // none.
  virtual Result<int> Made(uint32_t id) = 0;
  // For what outlives the processes where the unit is restored in place: `undo` is run by us, in our namespaces, if
  // the restore fails after all. In a capsule it is not needed, and dropped.
  virtual void OnFailure(std::function<void()> undo) = 0;
  // System calls in the process with this number (as the unit sees it), for what the kernel notes of the caller
  // (SO_PEERCRED). It is blank; what is opened in it is gone when its own descriptors are put in place. Arguments are
  // reset. kNotFound if the unit has no such process.
  virtual Result<RemoteSyscalls*> Process(pid_t ns_pid) = 0;
  // Makes a process that lives as long as `visit` runs, for files that speak of a process which has ended. It is given
  // its number: `ns_pid`, or another one if that is taken.
  virtual Result<> WithShortLived(pid_t ns_pid, const std::function<Result<>(pid_t)>& visit) = 0;
};

// One process of the unit, all descriptors in place, still standing.
class ArmContext {
 public:
  virtual ~ArmContext() = default;
  // System calls in the process with this number (as the unit sees it).
  virtual Result<RemoteSyscalls*> Process(pid_t ns_pid) = 0;
  // The holder once more. No process fetches from it any longer: its descriptors may be replaced and closed.
  virtual RemoteSyscalls& holder() = 0;
};

// An open file that Restore has made.
struct MadeFile {
  uint32_t id = 0;
  std::string_view payload;
  int fd = -1;  // in the holder
};

class ResourceKind {
 public:
  virtual ~ResourceKind() = default;

  // The name in records and folders: "pipe".
  virtual std::string_view Name() const = 0;
  virtual uint32_t Version() const { return 1; }
  // Is this open file of this kind? Must not fail and not look beyond `file`.
  virtual bool Claims(const FdFacts& file) const = 0;
  // Open files that may have no other descriptor any more than those on their way in this one (a socket's queue):
  // copies of them. Asked before Check.
  virtual Result<std::vector<UniqueFd>> Carried(const FdFacts& file, CaptureContext& context) const;
  // Can this one be saved? kNotSupported with what it is and what to do; process and descriptor are added by the core.
  virtual Result<> Check(const FdFacts& file, const CaptureContext& context) const;
  // The record's payload (the kind's own .proto).
  virtual Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const = 0;
  // The unit is about to be killed, and is to be restored: what it would leave behind in the kernel must not be in the
  // way.
  virtual void BeforeKill(const FdFacts& file) const;
  // Makes the open file; returns its number in the holder. `id` as at capture.
  virtual Result<int> Restore(std::string_view payload, uint32_t id, RestoreContext& context) const = 0;
  // All open files of this kind, once every open file of every kind has been made and before any process has one: what
  // connects them with each other. A descriptor may be replaced (dup3), as long as it keeps its number.
  virtual Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const;
  // Names of kinds that must be restored before this one (epoll: everything it watches is only needed in Arm, so none).
  virtual std::vector<std::string_view> DependsOn() const { return {}; }
  // Last step before the tasks run, for what can only be set in the process itself.
  virtual Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const;
  // Does this kernel have what the kind needs? kNotSupported with the reason if not.
  virtual Result<> Probe() const;
  // One line for people (`baton image show`); kCorrupt on a payload that does not parse.
  virtual Result<std::string> Describe(std::string_view payload) const = 0;
};

inline Result<std::vector<UniqueFd>> ResourceKind::Carried(const FdFacts&, CaptureContext&) const {
  return std::vector<UniqueFd>();
}
inline Result<> ResourceKind::Connect(std::span<const MadeFile>, RestoreContext&) const { return {}; }
inline Result<> ResourceKind::Check(const FdFacts&, const CaptureContext&) const { return {}; }
inline void ResourceKind::BeforeKill(const FdFacts&) const {}
inline Result<> ResourceKind::Arm(std::string_view, std::span<const FdUser>, ArmContext&) const { return {}; }
inline Result<> ResourceKind::Probe() const { return {}; }

// All kinds, ordered so that DependsOn holds (registry.h). The generated table is src/resource/registry_table.cc.
const std::vector<std::unique_ptr<ResourceKind>>& AllKinds();
// nullptr if there is none of that name.
const ResourceKind* FindKind(std::string_view name);

}  // namespace baton
