#include "resource/device/device.h"

#include <fcntl.h>
#include <linux/major.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>

#include "resource/common/payload.h"
#include "resource/device/device.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "device";
constexpr unsigned kLargeFile = 0100000;  // kept by the kernel in every open file of a program with 64-bit offsets
constexpr unsigned kKeptFlags = O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOFOLLOW |
                                O_NOATIME | O_PATH | O_ASYNC | kLargeFile;

struct Device {
  std::string_view name;
  unsigned minor;  // of MEM_MAJOR
};
constexpr std::array<Device, 5> kDevices{{{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}}};

const Device* FindByNumber(dev_t number) {
  if (major(number) != MEM_MAJOR) return nullptr;
  const auto* found = std::ranges::find(kDevices, minor(number), &Device::minor);
  return found == kDevices.end() ? nullptr : found;
}

const Device* FindByName(std::string_view name) {
  const auto* found = std::ranges::find(kDevices, name, &Device::name);
  return found == kDevices.end() ? nullptr : found;
}

bool IsTerminal(unsigned major_number) {
  return major_number == TTY_MAJOR || major_number == TTYAUX_MAJOR ||
         (major_number >= UNIX98_PTY_MASTER_MAJOR && major_number < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT);
}

Result<pb::DevicePayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::DevicePayload>(payload, kName));
  if (FindByName(message.name()) == nullptr) {
    return MakeError(ErrorCode::kCorrupt, "device \"{}\" is not one that is saved", message.name());
  }
  if ((message.flags() & ~kKeptFlags) != 0) {
    return MakeError(ErrorCode::kCorrupt, "device {}: flags {:#o}", message.name(), message.flags());
  }
  return message;
}

// The path in the unit could be anything (a container without /dev, a file put there): the numbers decide.
Result<> CheckNumber(const Device& device, const std::string& path, RemoteSyscalls& holder) {
  BATON_TRY(const RemotePtr<> at, holder.PutString(path));
  struct stat status{};
  BATON_TRY(const auto status_at, holder.PutValue(status));
  BATON_CHECKED(holder.Do("look at " + path, SYS_newfstatat, AT_FDCWD, at, status_at, 0));
  BATON_TRY(status, holder.Get(status_at));
  if (S_ISCHR(status.st_mode) && status.st_rdev == makedev(MEM_MAJOR, device.minor)) return {};
  return MakeError(ErrorCode::kConflict, "{} is not the device of that name here; make it with mknod {} c {} {}", path,
                   path, MEM_MAJOR, device.minor);
}

class DeviceKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  // Terminals have a kind of their own.
  bool Claims(const FdFacts& file) const override {
    const bool device =
        (file.IsCharDevice() && !IsTerminal(major(file.status.st_rdev))) || S_ISBLK(file.status.st_mode);
    return device && (file.info.flags & O_PATH) == 0;
  }

  Result<> Check(const FdFacts& file, const CaptureContext&) const override {
    const unsigned number = major(file.status.st_rdev);
    if (S_ISBLK(file.status.st_mode)) {
      return MakeError(ErrorCode::kNotSupported, "is a block device ({}:{}), which cannot be saved; close it", number,
                       minor(file.status.st_rdev));
    }
    if (FindByNumber(file.status.st_rdev) != nullptr) return {};
    return MakeError(ErrorCode::kNotSupported,
                     "is a device ({}:{}) whose state cannot be saved; close it, or see --external", number,
                     minor(file.status.st_rdev));
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext&) const override {
    const Device* device = FindByNumber(file.status.st_rdev);
    if (device == nullptr) return MakeError(ErrorCode::kInternal, "device was not checked");
    pb::DevicePayload message;
    message.set_name(std::string(device->name));
    message.set_flags(file.info.flags & kKeptFlags);
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    const std::string path = context.MapPath("/dev/" + message.name());
    RemoteSyscalls& holder = context.holder();
    BATON_CHECKED(CheckNumber(*FindByName(message.name()), path, holder));
    BATON_TRY(const RemotePtr<> at, holder.PutString(path));
    BATON_TRY(const int64_t fd,
              holder.Do("open " + path, SYS_openat, AT_FDCWD, at, static_cast<int>(message.flags()) | O_CLOEXEC));
    return static_cast<int>(fd);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return "device /dev/" + message.name();
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeDeviceKind() { return std::make_unique<DeviceKind>(); }

}  // namespace baton
