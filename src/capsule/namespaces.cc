#include "capsule/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "capsule/id_maps.h"
#include "capsule/init.pb.h"
#include "proc/process_files.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace baton {
namespace {

std::unexpected<SetupFailure> Failed(SetupStep step, int saved_errno, std::string detail = "") {
  return std::unexpected(SetupFailure{.step = step, .saved_errno = saved_errno, .detail = std::move(detail)});
}

std::unexpected<SetupFailure> Failed(SetupStep step, const Error& error, std::string detail = "") {
  return Failed(step, error.saved_errno(), std::move(detail));
}

constexpr int64_t kSecond = 1'000'000'000;

int64_t Nanoseconds(const TimensOffset& offset) { return offset.seconds * kSecond + offset.nanoseconds; }

// One user id and one group id is what everybody may have.
Result<> MapOwnIds(uid_t uid, gid_t gid, OutsideMapper::Done done) {
  if (!done.users) BATON_CHECKED(WriteFile("/proc/self/uid_map", fmt::format("{} {} 1", uid, uid)));
  if (done.groups) return {};
  // An ordinary user may map his group only once setgroups(2) is denied for good (user_namespaces(7)).
  BATON_CHECKED(WriteFile("/proc/self/setgroups", "deny"));
  return WriteFile("/proc/self/gid_map", fmt::format("{} {} 1", gid, gid));
}

SetupResult BindOver(int source_fd, const std::string& target, SetupStep step) {
  // By descriptor, since the source may lie under a directory that has been covered meanwhile. Recursive, since the
  // mounts under it are locked together in a user namespace.
  const std::string source = fmt::format("/proc/self/fd/{}", source_fd);
  const int mounted = mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr);
  if (const int error = errno; mounted != 0) return Failed(step, error, target);
  return {};
}

SetupResult MakeBinds(const std::vector<CapsuleBind>& binds, const std::vector<UniqueFd>& sources) {
  for (size_t i = 0; i < binds.size(); ++i) {
    struct stat status{};
    const bool directory = fstat(sources[i].get(), &status) == 0 && S_ISDIR(status.st_mode);
    auto made = directory ? MakeDirectories(binds[i].to, 0755) : Result<>();
    if (!made) {
      return Failed(SetupStep::kBind, made.error(), binds[i].to);
    }
    if (auto bound = BindOver(sources[i].get(), binds[i].to, SetupStep::kBind); !bound) return bound;
  }
  return {};
}

SetupResult MountFreshProc() {
  const int mounted = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  if (const int error = errno; mounted != 0) return Failed(SetupStep::kProc, error);
  return {};
}

}  // namespace

std::string ClockOffsetsText(int64_t monotonic_ns, int64_t boottime_ns) {
  const auto split = [](int64_t ns) {
    int64_t seconds = ns / kSecond;
    int64_t rest = ns % kSecond;
    if (rest < 0) {
      rest += kSecond;
      --seconds;
    }
    return fmt::format("{} {}", seconds, rest);
  };
  return fmt::format("monotonic {}\nboottime {}\n", split(monotonic_ns), split(boottime_ns));
}

SetupResult EnterUserNamespace() {
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  std::optional<OutsideMapper> mapper;
  if (const SubordinateIds ids = FindSubordinateIds(); !ids.users.empty() || !ids.groups.empty()) {
    auto started = OutsideMapper::Start(ids);
    if (!started) return Failed(SetupStep::kIdMaps, started.error());
    mapper.emplace(std::move(*started));
  }
  const int made = unshare(CLONE_NEWUSER);
  if (const int error = errno; made != 0) return Failed(SetupStep::kUserNamespace, error);
  const OutsideMapper::Done done = mapper ? mapper->Map() : OutsideMapper::Done{};
  if (auto mapped = MapOwnIds(uid, gid, done); !mapped) return Failed(SetupStep::kIdMaps, mapped.error());
  return {};
}

SetupResult EnterNamespaces(const CapsuleOptions& options) {
  // The kernel counts offsets from the machine's clocks, also where we are in a time namespace ourselves.
  const TimensOffsets ours = ReadTimensOffsets(getpid()).value_or(TimensOffsets{});
  if (options.user_namespace) {
    if (auto entered = EnterUserNamespace(); !entered) return entered;
  }
  const int made = unshare(CLONE_NEWPID | CLONE_NEWTIME | CLONE_NEWIPC | CLONE_NEWUTS);
  if (const int error = errno; made != 0) return Failed(SetupStep::kNamespaces, error);
  // Only before the first process is in the time namespace: afterwards the kernel refuses (time_namespaces(7)).
  const std::string offsets = ClockOffsetsText(options.monotonic_offset_ns + Nanoseconds(ours.monotonic),
                                               options.boottime_offset_ns + Nanoseconds(ours.boottime));
  auto put = WriteFile("/proc/self/timens_offsets", offsets);
  if (!put) return Failed(SetupStep::kClockOffsets, put.error(), offsets);
  return {};
}

SetupResult MakeMounts(const CapsuleOptions& options) {
  const int made = unshare(CLONE_NEWNS);
  if (const int error = errno; made != 0) return Failed(SetupStep::kMountNamespace, error);
  const int privately = mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  if (const int error = errno; privately != 0) return Failed(SetupStep::kMountNamespace, error);
  // All sources are opened before anything is covered.
  std::vector<UniqueFd> sources;
  for (const CapsuleBind& bind : options.binds) {
    auto source = OpenFile(bind.from, O_PATH);
    if (!source) return Failed(SetupStep::kBind, source.error(), bind.from);
    sources.push_back(std::move(*source));
  }
  if (options.private_tmp) {
    auto tmp = OpenFile(*options.private_tmp, O_PATH | O_DIRECTORY);
    if (!tmp) return Failed(SetupStep::kPrivateTmp, tmp.error(), *options.private_tmp);
    if (auto bound = BindOver(tmp->get(), "/tmp", SetupStep::kPrivateTmp); !bound) return bound;
  }
  if (auto bound = MakeBinds(options.binds, sources); !bound) return bound;
  return MountFreshProc();
}

void ReportSetupFailure(InitChannel* channel, const SetupFailure& failure) {
  pb::InitEvent event;
  event.set_version(kInitProtocolVersion);
  event.mutable_setup_failed()->set_step(static_cast<int>(failure.step));
  event.mutable_setup_failed()->set_saved_errno(failure.saved_errno);
  event.mutable_setup_failed()->set_detail(failure.detail);
  const auto told = channel->Send(event);
  if (!told) return;
}

}  // namespace baton
