#include "resource/unix_socket/capture.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/file.h"
#include "proc/process_files.h"
#include "resource/common/owner.h"
#include "resource/common/socket_holder.h"
#include "resource/common/socket_options.h"
#include "resource/common/unix_diag.h"
#include "resource/unix_socket/queue.h"

namespace baton {
namespace {

constexpr unsigned kNoMoreToReadOrWrite = 3;
constexpr unsigned long kSiocUnixFile = 0x89E0;  // <linux/un.h>, which clashes with <sys/un.h>

template <typename... Args>
Error NotSupported(fmt::format_string<Args...> format, Args&&... args) {
  return MakeError(ErrorCode::kNotSupported, format, std::forward<Args>(args)...);
}

int IntOption(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

using NameCall = int (*)(int, sockaddr*, socklen_t*);
std::string NameBy(NameCall call, int fd) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  return call(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 ? UnixNameOf(address, length) : std::string();
}

bool IsUnix(const FdFacts& file) { return file.IsSocket() && IntOption(file.copy, SO_DOMAIN) == AF_UNIX; }

// Printable: abstract names begin with NUL.
std::string Shown(std::string name) {
  std::ranges::replace(name, '\0', '@');
  return name.empty() ? "a socket without a name" : name;
}

class Capture {
 public:
  Capture(const FdFacts& file, const CaptureContext& context, UnixDiagQuery& query, UnixDiag diag)
      : file_(file), context_(context), query_(query), diag_(std::move(diag)) {}

  Result<pb::UnixSocketPayload> Run() {
    message_.set_type(static_cast<uint32_t>(IntOption(file_.copy, SO_TYPE)));
    message_.set_flags(file_.info.flags & O_NONBLOCK);
    message_.set_shutdown(diag_.shutdown);
    if (!file_.users.empty()) message_.set_user(file_.users.front().ns_pid);
    BATON_CHECKED(CaptureName());
    CapturePeerCredentials();
    BATON_CHECKED(CaptureState());
    BATON_CHECKED(CaptureMessages());
    BATON_TRY(*message_.mutable_options(), CaptureSocketOptions(file_.copy, {}));
    BATON_TRY(*message_.mutable_owner(), CaptureOwner(file_, context_));
    return std::move(message_);
  }

 private:
  bool IsDatagram() const { return message_.type() == SOCK_DGRAM; }

  Result<> CaptureName() {
    const std::string name = NameBy(getsockname, file_.copy);
    if (name.empty()) return {};
    message_.mutable_name()->set_name(name);
    if (name.front() == '\0') return {};
    if (name.front() == '/') {
      NoteFile(fmt::format("/proc/{}/root{}", file_.host_pid, name));
      return {};
    }
    for (const std::string& directory : PossibleDirectories(name)) {
      if (!NoteFile(fmt::format("/proc/{}/root{}/{}", file_.host_pid, directory, name))) continue;
      message_.mutable_name()->set_directory(directory);
      return {};
    }
    return IsRemoved(name) ? Result<>{} : CheckLostName(name);
  }

  // Where a relative name may have been given: by the kernel's word (for root), or where a process is now.
  std::vector<std::string> PossibleDirectories(const std::string& name) const {
    std::vector<std::string> directories;
    if (const int place = ioctl(file_.copy, kSiocUnixFile); place >= 0) {
      const UniqueFd own(place);
      const auto path = ReadLink(fmt::format("/proc/self/fd/{}", place));
      if (path && path->ends_with("/" + name)) directories.push_back(path->substr(0, path->size() - name.size() - 1));
    }
    for (const FdUser& user : file_.users) {
      if (auto directory = ReadProcessLink(user.host_pid, "cwd")) directories.push_back(std::move(*directory));
    }
    return directories;
  }

  // By the kernel's word (for root): there is no such file any more.
  bool IsRemoved(const std::string& name) const {
    const int place = ioctl(file_.copy, kSiocUnixFile);
    if (place < 0) return false;
    const UniqueFd own(place);
    const auto path = ReadLink(fmt::format("/proc/self/fd/{}", place));
    return path && path->ends_with("/" + name + " (deleted)");
  }

  // Connections share the name of the listening socket, and need no file.
  Result<> CheckLostName(const std::string& name) const {
    if (message_.type() != SOCK_DGRAM && diag_.peer) return {};
    return NotSupported(
        "was bound to the relative name {}, and no process is in that directory any more: bind it by an "
        "absolute one, or save as root",
        name);
  }

  bool NoteFile(const std::string& path) {
    struct stat status{};
    if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode) ||
        static_cast<uint32_t>(status.st_ino) != diag_.file_inode) {
      return false;
    }
    pb::UnixName& out = *message_.mutable_name();
    out.set_present(true);
    out.set_mode(status.st_mode & 07777);
    out.set_uid(status.st_uid);
    out.set_gid(status.st_gid);
    return true;
  }

  void CapturePeerCredentials() {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (getsockopt(file_.copy, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 || credentials.pid == 0) return;
    *message_.mutable_peer_credentials() = Credentials(credentials);
  }

  pb::UnixCredentials Credentials(const ucred& credentials) const {
    pb::UnixCredentials out;
    out.set_pid(context_.NsPid(credentials.pid).value_or(0));
    out.set_uid(credentials.uid);
    out.set_gid(credentials.gid);
    return out;
  }

  const FdFacts* FileOf(uint32_t inode) const {
    const auto files = context_.files();
    const auto found = std::ranges::find_if(files, [&](const FdFacts& other) {
      return static_cast<uint32_t>(other.status.st_ino) == inode && IsUnix(other);
    });
    return inode == 0 || found == files.end() ? nullptr : &*found;
  }

  Result<> CaptureState() {
    if (IntOption(file_.copy, SO_ACCEPTCONN) != 0) return CaptureListening();
    if (!diag_.peer) return {};
    if (const FdFacts* peer = FileOf(*diag_.peer)) {
      message_.set_state(pb::UnixSocketPayload::CONNECTED);
      message_.set_peer(peer->id);
      return {};
    }
    message_.set_peer_name(NameBy(getpeername, file_.copy));
    if (*diag_.peer != 0) return CaptureOutside();
    if (!IsDatagram()) BATON_CHECKED(FindListener());
    if (message_.state() == pb::UnixSocketPayload::WAITING) return {};
    if (!IsDatagram() && message_.shutdown() != kNoMoreToReadOrWrite) {
      return NotSupported("waits to be accepted by {}, which is outside the unit: save that process too, or wait",
                          Shown(message_.peer_name()));
    }
    return CapturePeerGone();
  }

  Result<> CaptureListening() {
    message_.set_state(pb::UnixSocketPayload::LISTENING);
    message_.set_backlog(diag_.backlog);
    for (const uint32_t client : diag_.waiting) {
      const FdFacts* file = FileOf(client);
      if (file == nullptr && client == 0) {
        return NotSupported("a connection that its client has closed waits to be accepted; let the program accept it");
      }
      if (file == nullptr) {
        return NotSupported(
            "a connection from {}, outside the unit, waits to be accepted; wait until it is, or save "
            "that process too",
            DescribeSocketHolder(client));
      }
      message_.add_waiting(file->id);
    }
    return {};
  }

  // A connection that nobody has accepted yet has no descriptor by which to look at what was sent to it.
  Result<> FindListener() {
    for (const FdFacts& other : context_.files()) {
      if (!IsUnix(other) || IntOption(other.copy, SO_ACCEPTCONN) == 0) continue;
      BATON_TRY(const UnixDiag listener, query_.Find(static_cast<uint32_t>(other.status.st_ino)));
      if (std::ranges::find(listener.waiting, diag_.inode) == listener.waiting.end()) continue;
      int bytes = 0;
      if (ioctl(file_.copy, SIOCOUTQ, &bytes) == 0 && bytes > 0) {
        return MakeError(
            ErrorCode::kUnavailable,
            "bytes were sent on a connection to {} that is not accepted yet, and cannot be seen; try again "
            "when the program has accepted it",
            Shown(message_.peer_name()));
      }
      message_.set_state(pb::UnixSocketPayload::WAITING);
      message_.set_peer(other.id);
      message_.clear_peer_name();
      return {};
    }
    return {};
  }

  // A datagram socket with a name is found again by it (syslog's, for one); nothing else outside is.
  Result<> CaptureOutside() {
    if (IsDatagram() && !message_.peer_name().empty()) {
      message_.set_state(pb::UnixSocketPayload::OUTSIDE);
      return {};
    }
    return NotSupported("is connected to {}, which is outside the unit: save that process too, or close it first",
                        DescribeSocketHolder(*diag_.peer));
  }

  Result<> CapturePeerGone() {
    message_.set_state(pb::UnixSocketPayload::PEER_GONE);
    pollfd asked{.fd = file_.copy, .events = 0, .revents = 0};
    message_.set_reset(!IsDatagram() && poll(&asked, 1, 0) > 0 && (asked.revents & POLLERR) != 0);
    return {};
  }

  Result<> CaptureMessages() {
    BATON_TRY(const UnixQueue* queue, QueueOf(file_, context_));
    for (const PeekedMessage& queued : *queue) {
      pb::UnixMessage& out = *message_.add_messages();
      out.set_content(queued.content);
      for (const UniqueFd& copy : queued.files) {
        const FdFacts* file = context_.FindCopy(copy.get());
        if (file == nullptr) return MakeError(ErrorCode::kInternal, "a descriptor on its way was not seen before");
        out.add_files(file->id);
      }
      if (queued.credentials) *out.mutable_credentials() = Credentials(*queued.credentials);
      if (IsDatagram()) SetSender(UnixNameOf(queued.sender), out);
    }
    return CheckReachable();
  }

  // Nobody could send it these messages again.
  Result<> CheckReachable() {
    if (!IsDatagram() || message_.has_name() || message_.messages().empty()) return {};
    if (message_.state() != pb::UnixSocketPayload::CONNECTED) return {};
    BATON_TRY(const UnixDiag peer, query_.Find(*diag_.peer));
    if (peer.peer == diag_.inode) return {};
    return NotSupported("holds messages, has no name, and its peer is connected elsewhere; let the program read it");
  }

  void SetSender(const std::string& name, pb::UnixMessage& out) const {
    if (name.empty()) return;
    out.set_sender_name(name);
    const auto files = context_.files();
    const auto found = std::ranges::find_if(files, [&](const FdFacts& other) {
      return IsUnix(other) && IntOption(other.copy, SO_TYPE) == SOCK_DGRAM && NameBy(getsockname, other.copy) == name;
    });
    if (found != files.end()) out.set_sender(found->id);
  }

  const FdFacts& file_;
  const CaptureContext& context_;
  UnixDiagQuery& query_;
  UnixDiag diag_;
  pb::UnixSocketPayload message_;
};

}  // namespace

Result<const UnixQueue*> QueueOf(const FdFacts& file, const CaptureContext& context) {
  std::shared_ptr<const void>& memo = context.Memo(file.id);
  if (!memo) {
    UnixQueue queue;
    if (IntOption(file.copy, SO_ACCEPTCONN) == 0) {
      BATON_TRY(queue, PeekUnixQueue(file.copy, IntOption(file.copy, SO_TYPE)));
    }
    memo = std::make_shared<const UnixQueue>(std::move(queue));
  }
  return static_cast<const UnixQueue*>(memo.get());
}

Result<pb::UnixSocketPayload> CaptureUnixSocket(const FdFacts& file, const CaptureContext& context) {
  BATON_TRY(UnixDiagQuery query, UnixDiagQuery::Open(file.host_pid));
  BATON_TRY(UnixDiag diag, query.Find(static_cast<uint32_t>(file.status.st_ino)));
  return Capture(file, context, query, std::move(diag)).Run();
}

}  // namespace baton
