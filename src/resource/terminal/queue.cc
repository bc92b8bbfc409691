#include "resource/terminal/queue.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace baton {
namespace {

constexpr size_t kBlock = 4096;
constexpr int kPatienceMs = 1000;

// poll(2) also waits for what the kernel is about to move from one end to the other.
bool IsReady(int fd, short events) {
  pollfd asked{.fd = fd, .events = events, .revents = 0};
  return poll(&asked, 1, 0) > 0 && (asked.revents & events) != 0;
}

int Waiting(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// Settings of a pair that are others while this exists.
class Settings {
 public:
  static Result<Settings> Of(int fd) {
    termios now{};
    const int got = tcgetattr(fd, &now);
    if (const int error = errno; got != 0) return ErrnoError(error, "settings of a terminal");
    return Settings(fd, now);
  }
  Settings(Settings&& other) noexcept : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}
  Settings& operator=(Settings&&) = delete;
  ~Settings() {
    if (fd_ >= 0) tcsetattr(fd_, TCSANOW, &before_);
  }
  const termios& before() const { return before_; }
  Result<> Change(const termios& to) const {
    const int set = tcsetattr(fd_, TCSANOW, &to);
    if (const int error = errno; set != 0) return ErrnoError(error, "settings of a terminal");
    return {};
  }

 private:
  Settings(int fd, const termios& before) : fd_(fd), before_(before) {}
  int fd_;
  termios before_;
};

// Bytes pass as they are, in lines if `lines`, whose ends stay those of the program.
termios Neutral(const termios& before, bool lines) {
  termios changed = before;
  changed.c_iflag = 0;
  changed.c_oflag = 0;
  changed.c_lflag = lines ? ICANON : 0;
  std::ranges::fill(changed.c_cc, static_cast<cc_t>(_POSIX_VDISABLE));
  changed.c_cc[VEOL] = before.c_cc[VEOL];
  changed.c_cc[VEOL2] = before.c_cc[VEOL2];
  if (!lines) changed.c_cc[VMIN] = 1;
  if (!lines) changed.c_cc[VTIME] = 0;
  return changed;
}

// Otherwise the master is told of every change.
class PacketMode {
 public:
  explicit PacketMode(int master) : master_(master) {
    ioctl(master_, TIOCGPKT, &before_);
    if (before_ != 0) Set(0);
  }
  PacketMode(const PacketMode&) = delete;
  PacketMode& operator=(const PacketMode&) = delete;
  ~PacketMode() {
    if (before_ != 0) Set(before_);
  }

 private:
  void Set(int on) const { ioctl(master_, TIOCPKT, &on); }
  int master_;
  int before_ = 0;
};

Result<std::string> ReadAll(int fd) {
  std::string bytes;
  std::array<char, kBlock> block{};
  while (IsReady(fd, POLLIN)) {
    const ssize_t got = read(fd, block.data(), block.size());
    const int error = errno;
    if (got < 0 && (error == EAGAIN || error == EIO)) break;  // EIO: nothing more, and the other end is closed
    if (got < 0) return ErrnoError(error, "read a terminal");
    if (got == 0) break;
    bytes.append(block.data(), static_cast<size_t>(got));
  }
  return bytes;
}

Result<> Write(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd asked{.fd = fd, .events = POLLOUT, .revents = 0};
    if (poll(&asked, 1, kPatienceMs) <= 0) {
      return MakeError(ErrorCode::kUnavailable, "{} bytes do not fit into a terminal any more", bytes.size());
    }
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    const int error = errno;
    if (put < 0 && error != EAGAIN) return ErrnoError(error, "write to a terminal");
    if (put > 0) bytes.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

// The kernel moves bytes from one end to the other by a worker.
void AwaitArrival(int fd) {
  int before = -1;
  for (int same = 0; same < 3;) {
    IsReady(fd, POLLIN);
    const int now = Waiting(fd);
    same = now == before ? same + 1 : 0;
    before = now;
    poll(nullptr, 0, 1);
  }
}

}  // namespace

Result<std::string> TakeOutput(const PtyEnds& ends) {
  const PacketMode plain(ends.master);
  return ReadAll(ends.master);
}

bool IsStopped(const PtyEnds& ends) { return !IsReady(ends.slave, POLLOUT); }

Result<> PutOutput(const PtyEnds& ends, std::string_view bytes, bool stopped) {
  if (!bytes.empty()) {
    const PacketMode plain(ends.master);
    BATON_TRY(const Settings settings, Settings::Of(ends.slave));
    termios as_it_is = settings.before();
    as_it_is.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    BATON_CHECKED(settings.Change(as_it_is));
    tcflow(ends.slave, TCOON);
    BATON_CHECKED(Write(ends.slave, bytes));
    AwaitArrival(ends.master);
  }
  if (stopped) tcflow(ends.slave, TCOOFF);
  return {};
}

// Without lines everything can be seen, one that is not ended too.
Result<std::string> TakeInput(const PtyEnds& ends) {
  const PacketMode plain(ends.master);
  BATON_TRY(const Settings settings, Settings::Of(ends.slave));
  const bool lines = (settings.before().c_lflag & ICANON) != 0;
  IsReady(ends.slave, POLLIN);
  if (!lines && Waiting(ends.slave) == 0) return std::string();
  BATON_CHECKED(settings.Change(Neutral(settings.before(), false)));
  return ReadAll(ends.slave);
}

Result<> PutInput(const PtyEnds& ends, std::string_view bytes) {
  if (bytes.empty()) return {};
  const PacketMode plain(ends.master);
  BATON_TRY(const Settings settings, Settings::Of(ends.slave));
  BATON_CHECKED(settings.Change(Neutral(settings.before(), (settings.before().c_lflag & ICANON) != 0)));
  BATON_CHECKED(Write(ends.master, bytes));
  AwaitArrival(ends.slave);
  return {};
}

}  // namespace baton
