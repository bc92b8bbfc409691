#include "resource/inotify/inotify.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "resource/common/owner.h"
#include "resource/common/payload.h"
#include "resource/inotify/inotify.pb.h"
#include "resource/inotify/restore.h"
#include "resource/inotify/watches.h"

namespace baton {
namespace {

constexpr std::string_view kName = "inotify";

using Payload = pb::InotifyPayload;

bool HasEvents(const FdFacts& file) {
  int bytes = 0;
  return ioctl(file.copy, FIONREAD, &bytes) == 0 && bytes > 0;
}

Result<Payload> CaptureInotify(const FdFacts& file, const CaptureContext& context) {
  Payload message;
  message.set_flags(file.info.flags & O_NONBLOCK);
  message.set_events_lost(HasEvents(file));
  BATON_TRY(const std::vector<SeenWatch> watches, ParseInotify(file.info));
  std::vector<FileHandle> handles;
  for (const SeenWatch& watch : watches) handles.push_back(watch.handle);
  BATON_TRY(const std::vector<Place> places, PlaceFinder(file, context).Find(handles));
  for (size_t i = 0; i < watches.size(); ++i) {
    pb::InotifyWatch& watch = *message.add_watches();
    watch.set_number(watches[i].number);
    watch.set_mask(watches[i].mask);
    watch.set_path(places[i].path);
    watch.set_open_file(places[i].open_file);
  }
  BATON_TRY(*message.mutable_owner(), CaptureOwner(file, context));
  return message;
}

Result<Payload> Parse(std::string_view payload) {
  BATON_TRY(auto message, ParsePayload<Payload>(payload, kName));
  bool sane = (message.flags() & ~static_cast<unsigned>(O_NONBLOCK)) == 0;
  int last = 0;
  for (const pb::InotifyWatch& watch : message.watches()) {
    const bool by_path = watch.path().starts_with('/') && watch.path().find('\0') == std::string::npos;
    sane = sane && watch.number() > last && (watch.open_file() != 0 ? watch.path().empty() : by_path);
    last = watch.number();
  }
  if (!sane) {
    return MakeError(ErrorCode::kCorrupt, "inotify: flags {:o}, {} watches", message.flags(), message.watches_size());
  }
  BATON_CHECKED(CheckOwner(message.owner()));
  return message;
}

class InotifyKind : public ResourceKind {
 public:
  std::string_view Name() const override { return kName; }

  bool Claims(const FdFacts& file) const override { return file.IsAnonInode("anon_inode:inotify"); }

  Result<> Check(const FdFacts& file, const CaptureContext& context) const override {
    BATON_TRY(const Payload message, CaptureInotify(file, context));
    std::shared_ptr<const void>& memo = context.Memo(file.id);
    memo = std::make_shared<const Payload>(message);
    return {};
  }

  // Looking for paths takes its time: what Check has found still holds.
  Result<std::string> Capture(const FdFacts& file, CaptureContext& context) const override {
    if (const auto& memo = context.Memo(file.id)) return static_cast<const Payload*>(memo.get())->SerializeAsString();
    BATON_TRY(const Payload message, CaptureInotify(file, context));
    return message.SerializeAsString();
  }

  Result<int> Restore(std::string_view payload, uint32_t, RestoreContext& context) const override {
    BATON_CHECKED(Parse(payload));
    BATON_TRY(const int64_t fd, context.holder().Do("inotify_init1", SYS_inotify_init1, IN_CLOEXEC | IN_NONBLOCK));
    return static_cast<int>(fd);
  }

  Result<> Connect(std::span<const MadeFile> files, RestoreContext& context) const override {
    for (const MadeFile& file : files) {
      BATON_TRY(const auto message, Parse(file.payload));
      if (auto made = RestoreWatches(message, file.fd, context); !made) return made.Fail("open file {}", file.id);
      if (message.events_lost()) {
        BATON_LOG(kInfo, "open file {}: inotify events that waited are lost; the program is told of an overflow",
                  file.id);
      }
    }
    return {};
  }

  Result<> Arm(std::string_view payload, std::span<const FdUser> users, ArmContext& context) const override {
    BATON_TRY(const auto message, Parse(payload));
    if (!users.empty() && !message.events_lost()) BATON_CHECKED(ClearEvents(users.front(), context));
    return RestoreOwner(message.owner(), users, context);
  }

  Result<std::string> Describe(std::string_view payload) const override {
    BATON_TRY(const auto message, Parse(payload));
    std::string text = fmt::format("inotify, {} watches", message.watches_size());
    for (const pb::InotifyWatch& watch : message.watches()) {
      if (!watch.path().empty() && watch.number() <= message.watches(0).number() + 2) text += " " + watch.path();
    }
    return text;
  }
};

}  // namespace

std::unique_ptr<ResourceKind> MakeInotifyKind() { return std::make_unique<InotifyKind>(); }

}  // namespace baton
