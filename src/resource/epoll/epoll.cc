#include "resource/epoll/epoll.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "resource/common/payload.h"
#include "resource/epoll/epoll.pb.h"
#include "resource/epoll/watch.h"
#include "resource/epoll/watch_restore.h"

namespace baton {
namespace {

constexpr std::string_view kName = "epoll";

Result<pb::EpollPayload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<pb::EpollPayload>(payload, kName));
  for (const pb::EpollWatch& watch : message.watches()) {
    const bool sane = watch.fd() >= 0 && watch.process() > 0 && watch.process_fd() >= 0;
    if (sane) continue;
    return MakeError(ErrorCode::kCorrupt, "epoll: descriptor {} of process {} watched as {}", watch.process_fd(),
                     watch.process(), watch.fd());
  }
  return message;
}

class EpollKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:[eventpoll]"); }

  // What is watched must be what it will be, also where another kind replaces descriptors in its Arm (pidfd).
  std::vector<std::string_view> DependsOn() const override { return {"pidfd"}; }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_TRY(const std::vector<EpollWatch> watches, ParseWatches(file.info));
    for (const EpollWatch& watch : watches) BATON_CHECKED(FindWatched(file, watch, context));
    return {};
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    pb::EpollPayload message;
    message.set_nonblocking((file.info.flags & O_NONBLOCK) != 0);
    BATON_TRY(const std::vector<EpollWatch> watches, ParseWatches(file.info));
    for (const EpollWatch& watch : watches) {
      BATON_TRY(const FdFacts* const watched, FindWatched(file, watch, context));
      if (watched->users.empty()) return MakeError(ErrorCode::kInternal, "{} has no users", watched->link);
      pb::EpollWatch* out = message.add_watches();
      out->set_fd(watch.fd);
      out->set_events(watch.events);
      out->set_data(watch.data);
      out->set_process(watched->users.front().ns_pid);
      out->set_process_fd(watched->users.front().fd);
    }
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    RemoteSyscalls& calls = context.holder();
    BATON_TRY(const int64_t fd, calls.Do("epoll_create1", SYS_epoll_create1, EPOLL_CLOEXEC));
    if (message.nonblocking()) BATON_CHECKED(calls.Do("F_SETFL", SYS_fcntl, fd, F_SETFL, O_NONBLOCK));
    return static_cast<int>(fd);
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    if (users.empty() || message.watches().empty()) return {};
    return RestoreWatches(message, users.front(), context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    return fmt::format("epoll, {} watched", message.watches_size());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeEpollKind() { return std::make_unique<EpollKind>(); }

}  // namespace baton
