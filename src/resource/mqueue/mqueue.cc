#include "resource/mqueue/mqueue.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>

#include "base/log.h"
#include "resource/common/payload.h"
#include "resource/mqueue/messages.h"

namespace baton {
namespace {

constexpr std::string_view kName = "mqueue";
constexpr uint64_t kMagic = 0x19800202;
constexpr unsigned kKeptFlags = O_ACCMODE | O_NONBLOCK;
constexpr std::string_view kDeleted = " (deleted)";

using Payload = pb::MqueuePayload;

std::string SpaceOf(const Payload& message) { return fmt::format("mqueue/{}/{}", message.device(), message.inode()); }

std::string NameOf(std::string_view link) {
  if (link.ends_with(kDeleted)) link.remove_suffix(kDeleted.size());
  return std::string(link.substr(link.rfind('/') + 1));
}

const FdUser* FindUser(const FdFacts& file, pid_t host_pid) {
  const auto found = std::ranges::find(file.users, host_pid, &FdUser::host_pid);
  return found == file.users.end() ? nullptr : &*found;
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  const bool named = !message.name().empty() && message.name().find('/') == std::string::npos &&
                     message.name().find('\0') == std::string::npos && message.name().size() <= NAME_MAX;
  const bool sane = (message.flags() & ~kKeptFlags) == 0 && (message.flags() & O_ACCMODE) != O_ACCMODE &&
                    message.mode() <= 0777 && message.most_messages() > 0 && message.message_bytes() > 0 &&
                    message.notified() >= 0;
  if (named && sane) return message;
  return MakeError(ErrorCode::kCorrupt, "message queue \"{}\": flags {:o}, mode {:o}", message.name(), message.flags(),
                   message.mode());
}

Result<pb::MqueueContent> ContentOf(const Payload& message, RestoreContext& context) {
  BATON_TRY(const std::vector<std::byte> bytes, context.Content(SpaceOf(message)));
  return ParsePayload<pb::MqueueContent>({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kName);
}

// In the holder. `flags` beside O_RDWR.
Result<int64_t> Open(RemoteSyscalls& holder, const Payload& message, const std::string& name, int flags) {
  holder.ResetArguments();
  BATON_TRY(const auto name_at, holder.PutString(name));
  mq_attr attributes{};
  attributes.mq_maxmsg = message.most_messages();
  attributes.mq_msgsize = message.message_bytes();
  BATON_TRY(const auto attributes_at, holder.PutValue(attributes));
  return holder.Call(SYS_mq_open, name_at, O_RDWR | O_CLOEXEC | O_NONBLOCK | flags, message.mode(), attributes_at);
}

class QueueMaker {
 public:
  QueueMaker(const Payload& message, RestoreContext& context) : message_(message), context_(context) {}

  // The holder's own descriptor of the queue, from which those of the unit are opened.
  Result<int> Make() {
    BATON_TRY(const int64_t there,
              message_.removed() ? Result<int64_t>(-ENOENT) : Open(context_.holder(), message_, message_.name(), 0));
    if (there >= 0) {
      BATON_CHECKED(TakeAsItIs(static_cast<int>(there)));
      return static_cast<int>(there);
    }
    if (there != -ENOENT) return Failed(there, "open");
    BATON_TRY(const int made, MakeNew());
    BATON_TRY(const UniqueFd own, context_.CopyFromHolder(made));
    BATON_TRY(const pb::MqueueContent content, ContentOf(message_, context_));
    BATON_CHECKED(FillQueue(own.get(), content));
    return made;
  }

 private:
  Error Failed(int64_t result, std::string_view what) const {
    return ErrnoError(static_cast<int>(-result), "{} message queue /{} ({} messages of {} bytes)", what,
                      message_.name(), message_.most_messages(), message_.message_bytes());
  }

  Result<int> MakeNew() {
    RemoteSyscalls& holder = context_.holder();
    std::string name = message_.name();
    BATON_TRY(int64_t made, Open(holder, message_, name, O_CREAT | O_EXCL));
    if (made == -EEXIST && message_.removed()) {  // another one has its name
      name = fmt::format("baton-{:x}-{:x}", message_.device(), message_.inode());
      BATON_TRY(made, Open(holder, message_, name, O_CREAT | O_EXCL));
    }
    if (made < 0) return Failed(made, "make");
    if (!message_.removed()) context_.OnFailure([path = "/" + name] { mq_unlink(path.c_str()); });
    BATON_CHECKED(holder.Do("owner of a message queue", SYS_fchown, made, message_.uid(), message_.gid()));
    BATON_CHECKED(holder.Do("mode of a message queue", SYS_fchmod, made, message_.mode()));
    if (message_.removed()) {
      BATON_TRY(const auto at, holder.PutString(name));
      BATON_CHECKED(holder.Do("remove a message queue", SYS_mq_unlink, at));
    }
    return static_cast<int>(made);
  }

  // It has outlived the unit.
  Result<> TakeAsItIs(int fd) {
    mq_attr attributes{};
    RemoteSyscalls& holder = context_.holder();
    struct stat status{};
    {
      BATON_TRY(const UniqueFd own, context_.CopyFromHolder(fd));
      mq_getattr(own.get(), &attributes);
      fstat(own.get(), &status);
    }
    if (attributes.mq_maxmsg != message_.most_messages() || attributes.mq_msgsize != message_.message_bytes()) {
      return MakeError(ErrorCode::kConflict,
                       "message queue /{} is another one now: remove it, or restore with --capsule", message_.name());
    }
    BATON_CHECKED(holder.Do("close", SYS_close, fd));
    const bool in_use = IsOpenAnywhere(status.st_dev, status.st_ino);
    BATON_TRY(const int64_t again, Open(holder, message_, message_.name(), 0));
    if (again != fd) return Failed(again, "open");
    if (in_use) {
      BATON_LOG(kInfo, "message queue /{} is in use by others: its content is left as it is", message_.name());
      return {};
    }
    BATON_TRY(const UniqueFd own, context_.CopyFromHolder(fd));
    BATON_CHECKED(EmptyQueue(own.get()));
    BATON_TRY(const pb::MqueueContent content, ContentOf(message_, context_));
    return FillQueue(own.get(), content);
  }

  const Payload& message_;
  RestoreContext& context_;
};

class MqueueKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override {
    return file.fs_magic == kMagic && file.IsRegular() && (file.info.flags & O_PATH) == 0;
  }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_TRY(const UniqueFd queue, ReopenQueue(file.copy));
    BATON_TRY(const QueueState state, ReadQueueState(queue.get()));
    if (state.notified == 0) return {};
    if (state.notify != SIGEV_NONE && context.NsPid(state.notified)) {
      return MakeError(
          ErrorCode::kNotSupported,
          "process {} has registered to be notified of messages (mq_notify); the kernel does not tell with "
          "which value: save it when it has not",
          state.notified);
    }
    mq_attr attributes{};
    if (mq_getattr(queue.get(), &attributes) != 0 || attributes.mq_curmsgs == 0) return {};
    return MakeError(ErrorCode::kNotSupported,
                     "process {} has registered to be notified of messages (mq_notify) while some are waiting: to look "
                     "at them would notify it",
                     state.notified);
  }

  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    Payload message;
    message.set_name(NameOf(file.link));
    message.set_removed(file.status.st_nlink == 0);
    message.set_device(file.status.st_dev);
    message.set_inode(file.status.st_ino);
    message.set_flags(file.info.flags & kKeptFlags);
    message.set_mode(file.status.st_mode & 0777);
    message.set_uid(file.status.st_uid);
    message.set_gid(file.status.st_gid);
    BATON_TRY(const UniqueFd queue, ReopenQueue(file.copy));
    mq_attr attributes{};
    const int got = mq_getattr(queue.get(), &attributes);
    if (const int error = errno; got != 0) return ErrnoError(error, "attributes of a message queue");
    message.set_most_messages(attributes.mq_maxmsg);
    message.set_message_bytes(attributes.mq_msgsize);
    BATON_TRY(const QueueState state, ReadQueueState(queue.get()));
    if (const FdUser* user = FindUser(file, state.notified)) message.set_notified(user->ns_pid);
    if (!context.HasContent(SpaceOf(message))) {
      BATON_TRY(const pb::MqueueContent content, LookIntoQueue(queue.get()));
      const std::string bytes = content.SerializeAsString();
      const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
      context.AddContent(SpaceOf(message), {data, data + bytes.size()});
    }
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_TRY(const Payload message, Parse(payload));
    const auto [queue, fresh] = context.shared().try_emplace(SpaceOf(message), -1);
    if (fresh) {
      BATON_TRY(queue->second, QueueMaker(message, context).Make());
    }
    RemoteSyscalls& holder = context.holder();
    holder.ResetArguments();
    BATON_TRY(const auto at, holder.PutString(fmt::format("/proc/self/fd/{}", queue->second)));
    BATON_TRY(const int64_t fd, holder.Do(fmt::format("open message queue /{}", message.name()), SYS_openat, AT_FDCWD,
                                          at, message.flags() | O_CLOEXEC));
    return static_cast<int>(fd);
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const Payload message, Parse(payload));
    if (message.notified() == 0) return {};
    const auto user = std::ranges::find(users, message.notified(), &FdUser::ns_pid);
    if (user == users.end()) return MakeError(ErrorCode::kCorrupt, "process {} has no such queue", message.notified());
    BATON_TRY(RemoteSyscalls* const calls, context.Process(user->ns_pid));
    sigevent nothing{};
    nothing.sigev_notify = SIGEV_NONE;
    BATON_TRY(const auto at, calls->PutValue(nothing));
    BATON_TRY(const int64_t registered, calls->Call(SYS_mq_notify, user->fd, at));
    // By another descriptor of it already.
    if (registered == 0 || registered == -EBUSY) return {};
    return ErrnoError(static_cast<int>(-registered), "mq_notify in process {}", user->ns_pid);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const Payload message, Parse(payload));
    return fmt::format("message queue /{}{}, up to {} messages of {} bytes", message.name(),
                       message.removed() ? " (removed)" : "", message.most_messages(), message.message_bytes());
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeMqueueKind() { return std::make_unique<MqueueKind>(); }

}  // namespace baton
