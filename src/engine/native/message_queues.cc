#include "engine/native/message_queues.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/log.h"
#include "proc/namespace_visit.h"

namespace baton {
namespace {

// The queues' file system, mounted nowhere.
Result<UniqueFd> MountQueues() {
  const auto context = static_cast<int>(syscall(SYS_fsopen, "mqueue", FSOPEN_CLOEXEC));
  if (const int error = errno; context < 0) return ErrnoError(error, "fsopen mqueue");
  const UniqueFd owned(context);
  const long made = syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  if (const int error = errno; made != 0) return ErrnoError(error, "fsconfig mqueue");
  const auto mounted = static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
  if (const int error = errno; mounted < 0) return ErrnoError(error, "fsmount mqueue");
  return UniqueFd(mounted);
}

Result<> OpenAll(int directory, std::vector<UniqueFd>& queues) {
  BATON_TRY(UniqueFd listed, OpenFileAt(directory, ".", O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> names(fdopendir(listed.release()), closedir);
  while (const dirent* entry = readdir(names.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    BATON_TRY(UniqueFd queue, OpenFileAt(directory, name, O_RDONLY | O_NONBLOCK));
    queues.push_back(std::move(queue));
  }
  return {};
}

}  // namespace

Result<std::vector<UniqueFd>> OpenMessageQueues(pid_t pid) {
  std::vector<UniqueFd> queues;
  if (ShareNamespace(pid, getpid(), "ipc")) return queues;
  std::optional<UniqueFd> directory;
  auto mounted = InIpcAndMountNamespaceOf(pid, [&]() -> Result<> {
    BATON_TRY(directory, MountQueues());
    return OpenAll(directory->get(), queues);
  });
  if (mounted) return queues;
  if (directory) return mounted.Fail("POSIX message queues of the unit");
  BATON_LOG(kInfo, "message queues that nobody has open are not saved: {}", mounted.error().ToString());
  return queues;
}

}  // namespace baton
