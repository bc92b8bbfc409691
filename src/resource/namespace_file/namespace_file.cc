#include "resource/namespace_file/namespace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>

#include "resource/common/payload.h"
#include "resource/namespace_file/namespace_file.pb.h"

namespace baton {
namespace {

constexpr std::string_view kName = "namespace_file";
constexpr uint64_t kNsfs = 0x6e736673;
// As the links name them; the two for children to come are told by their numbers.
constexpr std::array<std::string_view, 10> kTypes{
    "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts", "pid_for_children", "time_for_children"};

bool IsInside(const FdFacts& file, pid_t pid, std::string_view type) {
  struct stat status{};
  const std::string path = fmt::format("/proc/{}/ns/{}", pid, type);
  return stat(path.c_str(), &status) == 0 && status.st_ino == file.status.st_ino && status.st_dev == file.status.st_dev;
}

// Which of its own process's namespaces it is; none if it is another one.
std::string_view TypeOf(const FdFacts& file) {
  const auto found =
      std::ranges::find_if(kTypes, [&](std::string_view type) { return IsInside(file, file.host_pid, type); });
  return found == kTypes.end() ? std::string_view() : *found;
}

Result<pb::NamespaceFilePayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::NamespaceFilePayload>(payload, kName));
  if (std::ranges::find(kTypes, message.type()) != kTypes.end()) return message;
  return MakeError(ErrorCode::kCorrupt, "a namespace of type \"{}\"", message.type());
}

class NamespaceFileKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return file.fs_magic == kNsfs && file.link.find(":[") != std::string::npos;
  }

  Result<> Check(const FdFacts& file, const CaptureContext&) const override {
    if (!TypeOf(file).empty()) return {};
    return MakeError(ErrorCode::kNotSupported,
                     "{} is a namespace that its process is not in, and that cannot be made again: close it first",
                     file.link);
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext&) const override {
    pb::NamespaceFilePayload message;
    message.set_type(std::string(TypeOf(file)));
    return message.SerializeAsString();
  }

  // The holder is where the unit is.
  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    const std::string path = "/proc/self/ns/" + message.type();
    BATON_TRY(const auto at, context.holder().PutString(path));
    BATON_TRY(const int64_t fd, context.holder().Do("open " + path, SYS_openat, AT_FDCWD, at, O_RDONLY | O_CLOEXEC));
    return static_cast<int>(fd);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return fmt::format("namespace {}", message.type());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeNamespaceFileKind() { return std::make_unique<NamespaceFileKind>(); }

}  // namespace baton
