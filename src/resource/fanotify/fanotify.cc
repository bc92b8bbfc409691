#include "resource/fanotify/fanotify.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "proc/process_files.h"
#include "resource/common/payload.h"

namespace baton {
namespace {

constexpr std::string_view kName = "fanotify";

using Payload = pb::FanotifyPayload;
using Mark = pb::FanotifyMark;

// FAN_OPEN_PERM, FAN_ACCESS_PERM, FAN_OPEN_EXEC_PERM, FAN_PRE_ACCESS
constexpr uint64_t kDecides = 0x10000 | 0x20000 | 0x40000 | 0x100000;
constexpr uint32_t kOfDescriptor = FAN_CLOEXEC | FAN_NONBLOCK;  // not of the group
constexpr uint32_t kEvictable = 0x200;
constexpr uint32_t kIgnore = 0x400;  // FAN_MARK_IGNORE, Linux 6.0
constexpr uint32_t kKeptMarkFlags = FAN_MARK_IGNORED_SURV_MODIFY | kEvictable | kIgnore;

Result<SeenMark> ParseMark(const FdInfo::Field& field) {
  BATON_TRY(const auto parts, SplitFdInfoField(field));
  SeenMark seen;
  for (const FdInfo::Field& part : parts) {
    const auto& [key, value] = part;
    if (key == "fanotify ino") {
      seen.mark.set_on(Mark::INODE);
      BATON_CHECKED(ReadHandleField({"ino", value}, seen.handle));
    } else if (key == "fanotify mnt_id") {
      seen.mark.set_on(Mark::MOUNT);
      BATON_TRY(seen.mount_id, ParseFdInfoNumber(key, value, 16));
    } else if (key == "fanotify sdev") {
      seen.mark.set_on(Mark::FILE_SYSTEM);
      BATON_CHECKED(ReadHandleField({"sdev", value}, seen.handle));
    } else if (key == "mask") {
      BATON_TRY(const uint64_t mask, ParseFdInfoNumber(key, value, 16));
      seen.mark.set_mask(mask);
    } else if (key == "ignored_mask") {
      BATON_TRY(const uint64_t mask, ParseFdInfoNumber(key, value, 16));
      seen.mark.set_ignored(mask);
    } else if (key == "mflags") {
      BATON_TRY(const auto flags, ParseFdInfoNumber<uint32_t>(key, value, 16));
      seen.mark.set_flags(flags);
    } else {
      BATON_CHECKED(ReadHandleField(part, seen.handle));
    }
  }
  return seen;
}

Result<> ParseGroup(const FdInfo::Field& field, Payload& message) {
  BATON_TRY(const auto parts, SplitFdInfoField(field));
  for (const auto& [key, value] : parts) {
    BATON_TRY(const auto flags, ParseFdInfoNumber<uint32_t>(key, value, 16));
    if (key == "fanotify flags") message.set_flags(flags & ~kOfDescriptor);
    if (key == "event-flags") message.set_event_flags(flags);
  }
  return {};
}

// Mounts and file systems are named by a mount point.
Result<> FindMounts(const FdFacts& file, std::vector<SeenMark>& marks) {
  BATON_TRY(const std::vector<MountInfo> mounts, ReadMountInfo(file.host_pid));
  for (SeenMark& seen : marks) {
    if (seen.mark.on() == Mark::INODE) continue;
    const bool by_id = seen.mark.on() == Mark::MOUNT;
    const auto mount = std::ranges::find_if(mounts, [&](const MountInfo& one) {
      return by_id ? static_cast<uint64_t>(one.mount_id) == seen.mount_id
                   : makedev(one.dev_major, one.dev_minor) == DeviceOf(seen.handle);
    });
    if (mount == mounts.end()) {
      return MakeError(ErrorCode::kNotSupported, "marks a {} that is not mounted where its process is",
                       by_id ? "mount" : "file system");
    }
    seen.mark.set_path(mount->mount_point);
  }
  return {};
}

Result<> FindFiles(const FdFacts& file, const CaptureContext& context, std::vector<SeenMark>& marks) {
  std::vector<FileHandle> handles;
  for (const SeenMark& seen : marks) {
    if (seen.mark.on() == Mark::INODE) handles.push_back(seen.handle);
  }
  BATON_TRY(const std::vector<Place> places, PlaceFinder(file, context).Find(handles));
  auto place = places.begin();
  for (SeenMark& seen : marks) {
    if (seen.mark.on() != Mark::INODE) continue;
    if (place->open_file != 0) {
      return MakeError(ErrorCode::kNotSupported, "marks a file that has been removed (inode {}): end that mark",
                       seen.handle.inode);
    }
    seen.mark.set_path(place->path);
    ++place;
  }
  return {};
}

Result<Payload> CaptureGroup(const FdFacts& file, const CaptureContext& context) {
  Payload message;
  message.set_file_flags(file.info.flags & O_NONBLOCK);
  int waiting = 0;
  message.set_events_lost(ioctl(file.copy, FIONREAD, &waiting) == 0 && waiting > 0);
  BATON_TRY(std::vector<SeenMark> marks, ParseFanotify(file.info, message));
  for (const SeenMark& seen : marks) {
    if ((seen.mark.mask() & kDecides) == 0) continue;
    return MakeError(
        ErrorCode::kNotSupported,
        "decides who may open files (permission events): while it stands still nobody could; end it first");
  }
  BATON_CHECKED(FindMounts(file, marks));
  BATON_CHECKED(FindFiles(file, context, marks));
  for (SeenMark& seen : marks) *message.add_marks() = std::move(seen.mark);
  return message;
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  bool sane = (message.file_flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0;
  for (const Mark& mark : message.marks()) {
    sane = sane && mark.path().starts_with('/') && mark.path().find('\0') == std::string::npos &&
           (mark.mask() & kDecides) == 0 && (mark.mask() | mark.ignored()) != 0 &&
           (mark.flags() & ~kKeptMarkFlags) == 0 && Mark::On_IsValid(mark.on());
  }
  if (sane) return message;
  return MakeError(ErrorCode::kCorrupt, "fanotify: flags {:x}, {} marks", message.flags(), message.marks_size());
}

uint32_t TypeOf(const Mark& mark) {
  if (mark.on() == Mark::INODE) return FAN_MARK_INODE | FAN_MARK_DONT_FOLLOW;
  return mark.on() == Mark::MOUNT ? FAN_MARK_MOUNT : FAN_MARK_FILESYSTEM;
}

Result<> PutMark(RemoteSyscalls& calls, int fd, const Mark& mark) {
  calls.ResetArguments();
  BATON_TRY(const auto path, calls.PutString(mark.path()));
  const uint32_t add = FAN_MARK_ADD | TypeOf(mark);
  if (mark.mask() != 0) {
    BATON_CHECKED(calls.Do("fanotify mark on " + mark.path(), SYS_fanotify_mark, fd, add | (mark.flags() & kEvictable),
                           mark.mask(), AT_FDCWD, path));
  }
  if (mark.ignored() != 0) {
    const uint32_t how = (mark.flags() & kIgnore) != 0 ? kIgnore : FAN_MARK_IGNORED_MASK;
    BATON_CHECKED(calls.Do("fanotify mark on " + mark.path(), SYS_fanotify_mark, fd,
                           add | how | (mark.flags() & ~kIgnore), mark.ignored(), AT_FDCWD, path));
  }
  return {};
}

class FanotifyKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:[fanotify]"); }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    if (file.users.empty()) {
      return MakeError(ErrorCode::kNotSupported, "a fanotify group that no process has but on its way in a socket");
    }
    BATON_TRY(const Payload message, CaptureGroup(file, context));
    context.Memo(file.id) = std::make_shared<const Payload>(message);
    return {};
  }

  // Looking for paths takes its time: what Check has found still holds.
  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    if (const auto& memo = context.Memo(file.id)) return static_cast<const Payload*>(memo.get())->SerializeAsString();
    BATON_TRY(const Payload message, CaptureGroup(file, context));
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const Payload message, Parse(payload));
    const uint32_t nonblocking = message.file_flags() != 0 ? FAN_NONBLOCK : 0U;
    BATON_TRY(const int64_t fd,
              context.holder().Do("fanotify_init", SYS_fanotify_init, message.flags() | FAN_CLOEXEC | nonblocking,
                                  message.event_flags()));
    return static_cast<int>(fd);
  }

  // Not before: the files that are opened to restore the unit are no events.
  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const Payload message, Parse(payload));
    if (users.empty()) return MakeError(ErrorCode::kCorrupt, "fanotify: no process has it");
    BATON_TRY(RemoteSyscalls* const calls, context.Process(users.front().ns_pid));
    for (const Mark& mark : message.marks()) BATON_CHECKED(PutMark(*calls, users.front().fd, mark));
    if (message.events_lost()) BATON_LOG(kInfo, "fanotify events that waited are lost");
    return {};
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const Payload message, Parse(payload));
    std::string text = fmt::format("fanotify, flags {:#x}, {} marks", message.flags(), message.marks_size());
    for (int i = 0; i < std::min(message.marks_size(), 3); ++i) text += " " + message.marks(i).path();
    return text;
  }
};

}  // namespace

Result<std::vector<SeenMark>> ParseFanotify(const FdInfo& info, Payload& message) {
  std::vector<SeenMark> marks;
  for (const FdInfo::Field& field : info.fields) {
    if (!field.first.starts_with("fanotify ")) continue;
    if (field.first == "fanotify flags") {
      BATON_CHECKED(ParseGroup(field, message));
      continue;
    }
    BATON_TRY(SeenMark mark, ParseMark(field));
    const bool known =
        field.first == "fanotify ino" || field.first == "fanotify mnt_id" || field.first == "fanotify sdev";
    if (!known || (mark.mark.flags() & ~kKeptMarkFlags) != 0) {
      return MakeError(ErrorCode::kNotSupported, "has a mark that this Baton does not know: \"{}:{}\"", field.first,
                       field.second);
    }
    marks.push_back(std::move(mark));
  }
  return marks;
}

std::unique_ptr<ResourceKind> MakeFanotifyKind() { return std::make_unique<FanotifyKind>(); }

}  // namespace baton
