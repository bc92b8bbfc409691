#include "capsule/setup_error.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/file.h"

namespace baton {
namespace {

std::string_view StepName(SetupStep step) {
  switch (step) {
    case SetupStep::kUserNamespace:
      return "make a user namespace";
    case SetupStep::kIdMaps:
      return "map the user into the new user namespace";
    case SetupStep::kNamespaces:
      return "make pid, time, ipc and uts namespaces";
    case SetupStep::kClockOffsets:
      return "set the clocks of the new time namespace";
    case SetupStep::kForkInit:
      return "start the capsule's init";
    case SetupStep::kMountNamespace:
      return "make a private mount namespace";
    case SetupStep::kProc:
      return "mount a fresh /proc";
    case SetupStep::kPrivateTmp:
      return "put a private directory over /tmp";
    case SetupStep::kBind:
      return "put a directory at the path where the job knows it";
    case SetupStep::kInit:
      return "start the capsule's init";
  }
  return "make the capsule";
}

std::optional<std::string> Sysctl(const std::string& root, const std::string& name) {
  auto text = ReadFile(root + "/" + name);
  if (!text) return std::nullopt;
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return *text;
}

constexpr std::string_view kOtherWay = "or run Baton as root, which needs no user namespace";

// Empty if none of the known settings is in the way.
std::string ForbiddingSetting(const std::string& root) {
  if (Sysctl(root, "user/max_user_namespaces") == "0") {
    return fmt::format("user namespaces are switched off here: set sysctl user.max_user_namespaces to 10000, {}",
                       kOtherWay);
  }
  if (Sysctl(root, "kernel/unprivileged_userns_clone") == "0") {
    return fmt::format(
        "user namespaces are forbidden to ordinary users here: set sysctl kernel.unprivileged_userns_clone to 1, {}",
        kOtherWay);
  }
  if (Sysctl(root, "kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return fmt::format(
        "AppArmor restricts user namespaces of ordinary users here: set sysctl "
        "kernel.apparmor_restrict_unprivileged_userns to 0, or install an AppArmor profile that grants baton 'userns', "
        "{}",
        kOtherWay);
  }
  return "";
}

std::string UserNamespaceAdvice(int saved_errno, const std::string& root) {
  if (std::string setting = ForbiddingSetting(root); !setting.empty()) return setting;
  switch (saved_errno) {
    case EPERM:
    case EACCES:
      return fmt::format(
          "something forbids it: a seccomp filter (inside a container: start it with --security-opt seccomp=unconfined "
          "or a profile that allows unshare), a security module, or a chroot; allow it, {}",
          kOtherWay);
    case ENOSPC:
    case EUSERS:
      return fmt::format(
          "there are too many user namespaces, or they are nested more than 32 deep: raise sysctl "
          "user.max_user_namespaces, {}",
          kOtherWay);
    case EINVAL:
      return "the kernel was built without CONFIG_USER_NS, or the calling process has threads";
    case ENOSYS:
      return "the kernel was built without CONFIG_USER_NS";
    default:
      return "";
  }
}

std::string OtherNamespacesAdvice(const SetupFailure& failure, const std::string& root) {
  if (failure.saved_errno == EINVAL) return "the kernel lacks time namespaces: Linux 5.6 with CONFIG_TIME_NS is needed";
  if (failure.saved_errno == ENOSPC) {
    return "a limit under /proc/sys/user (max_pid_namespaces, max_time_namespaces, max_mnt_namespaces ...) is reached";
  }
  if (failure.saved_errno != EPERM && failure.saved_errno != EACCES) return "";
  if (!failure.user_namespace) return "root lacks CAP_SYS_ADMIN here: inside a container, start it privileged";
  return UserNamespaceAdvice(failure.saved_errno, root);
}

std::string ProcAdvice(int saved_errno) {
  if (saved_errno != EPERM) return "";
  return "parts of /proc are covered by other mounts, as container managers do, and the kernel then forbids a fresh "
         "one: "
         "uncover them (podman: --security-opt unmask=/proc/*; docker: --security-opt systempaths=unconfined)";
}

std::string BindAdvice(int saved_errno) {
  if (saved_errno != ENOENT && saved_errno != EACCES && saved_errno != EROFS) return "";
  return "the job must see its directory at the path where it started; make that directory on this machine (empty, "
         "once, "
         "as root if need be: mkdir -p), or resume the job where the directory exists";
}

std::string AdviceFor(const SetupFailure& failure, const std::string& root) {
  switch (failure.step) {
    case SetupStep::kUserNamespace:
    case SetupStep::kIdMaps:
      return UserNamespaceAdvice(failure.saved_errno, root);
    case SetupStep::kNamespaces:
    case SetupStep::kMountNamespace:
      return OtherNamespacesAdvice(failure, root);
    case SetupStep::kClockOffsets:
      return failure.saved_errno == ERANGE ? "the clocks would be negative or beyond what the kernel can hold" : "";
    case SetupStep::kProc:
      return ProcAdvice(failure.saved_errno);
    case SetupStep::kPrivateTmp:
    case SetupStep::kBind:
      return BindAdvice(failure.saved_errno);
    default:
      return "";
  }
}

}  // namespace

Error ExplainSetupFailure(const SetupFailure& failure, const std::string& sysctl_root) {
  std::string text = fmt::format("cannot {}", StepName(failure.step));
  if (!failure.detail.empty()) text += fmt::format(" ({})", failure.detail);
  if (failure.saved_errno != 0) text += fmt::format(": {}", strerrordesc_np(failure.saved_errno));
  const std::string advice = AdviceFor(failure, sysctl_root);
  if (advice.empty()) return {ErrorCode::kIo, text};
  return {ErrorCode::kNotSupported, text + "; " + advice};
}

}  // namespace baton
