#include "resource/common/socket_options.h"

#include <linux/filter.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace baton {
namespace {

// Younger than the C library's headers.
constexpr int kSoBufLock = 72;
constexpr int kSoTxRehash = 74;
constexpr int kSoPassPidfd = 76;
constexpr int kSoPassRights = 83;

constexpr unsigned kMaxValue = 64;
constexpr unsigned kMaxFilter = BPF_MAXINSNS * sizeof(sock_filter);

constexpr std::array<OptionRule, 33> kSocketLevel{{
    {SOL_SOCKET, SO_REUSEADDR},
    {SOL_SOCKET, SO_REUSEPORT},
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_DONTROUTE},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_MARK},
    {SOL_SOCKET, SO_BINDTODEVICE, 16},
    {SOL_SOCKET, SO_NO_CHECK},
    {SOL_SOCKET, SO_RXQ_OVFL},
    {SOL_SOCKET, SO_WIFI_STATUS},
    {SOL_SOCKET, SO_NOFCS},
    {SOL_SOCKET, SO_SELECT_ERR_QUEUE},
    {SOL_SOCKET, SO_BUSY_POLL},
    {SOL_SOCKET, SO_ZEROCOPY},
    {SOL_SOCKET, kSoTxRehash},
    {SOL_SOCKET, SO_MAX_PACING_RATE, 8},
    {SOL_SOCKET, SO_LINGER, sizeof(linger)},
    {SOL_SOCKET, SO_RCVTIMEO, sizeof(timeval), OptionTime::kLast},
    {SOL_SOCKET, SO_SNDTIMEO, sizeof(timeval), OptionTime::kLast},
    {SOL_SOCKET, SO_RCVLOWAT, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_TIMESTAMP_OLD, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_TIMESTAMPNS_OLD, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_TIMESTAMP_NEW, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_TIMESTAMPNS_NEW, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_TIMESTAMPING_OLD, 8, OptionTime::kLast},
    {SOL_SOCKET, SO_TIMESTAMPING_NEW, 8, OptionTime::kLast},
    {SOL_SOCKET, SO_PASSCRED, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_PASSSEC, 4, OptionTime::kLast},
    {SOL_SOCKET, kSoPassPidfd, 4, OptionTime::kLast},
    {SOL_SOCKET, kSoPassRights, 4, OptionTime::kLast},
    {SOL_SOCKET, SO_PEEK_OFF, 4, OptionTime::kLast},
}};

// None where this kind of socket has no such option.
std::optional<std::string> Get(int fd, const OptionRule& rule) {
  std::array<char, kMaxValue> value{};
  socklen_t length = rule.max_bytes;
  if (getsockopt(fd, rule.level, rule.name, value.data(), &length) != 0) return std::nullopt;
  return std::string(value.data(), std::min<size_t>(length, value.size()));
}

int GetInt(int fd, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

Result<> SetInt(int fd, int name, int value) {
  const int set = setsockopt(fd, SOL_SOCKET, name, &value, sizeof value);
  if (const int error = errno; set != 0) return ErrnoError(error, "set socket option {} to {}", name, value);
  return {};
}

const OptionRule* FindRule(std::span<const OptionRule> rules, const pb::SocketOption& option) {
  const auto found = std::ranges::find_if(
      rules, [&](const OptionRule& rule) { return rule.level == option.level() && rule.name == option.name(); });
  return found == rules.end() ? nullptr : &*found;
}

const OptionRule* FindRule(std::span<const OptionRule> more, std::span<const OptionRule> common,
                           const pb::SocketOption& option) {
  const OptionRule* rule = FindRule(common, option);
  return rule != nullptr ? rule : FindRule(more, option);
}

Result<> CaptureFilter(int fd, pb::SocketOptions& options) {
  socklen_t instructions = 0;
  sock_filter unused{};  // only counted: the length is 0
  const int counted = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, &unused, &instructions);
  const int error = errno;
  options.set_filter_locked(GetInt(fd, SO_LOCK_FILTER) != 0);
  if (counted != 0 && error == EACCES) {
    return MakeError(ErrorCode::kNotSupported, "has an eBPF filter (SO_ATTACH_BPF), which cannot be read");
  }
  if (counted != 0 || instructions == 0) return {};
  std::vector<sock_filter> filter(instructions);
  const int got = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, filter.data(), &instructions);
  if (const int failed = errno; got != 0) return ErrnoError(failed, "read the filter of a socket");
  options.set_filter(filter.data(), filter.size() * sizeof(sock_filter));
  return {};
}

Result<> RestoreFilter(const pb::SocketOptions& options, int fd) {
  if (!options.filter().empty()) {
    std::vector<sock_filter> filter(options.filter().size() / sizeof(sock_filter));
    std::memcpy(filter.data(), options.filter().data(), filter.size() * sizeof(sock_filter));
    const sock_fprog program{.len = static_cast<uint16_t>(filter.size()), .filter = filter.data()};
    const int set = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    if (const int error = errno; set != 0) return ErrnoError(error, "attach the filter of a socket");
  }
  return options.filter_locked() ? SetInt(fd, SO_LOCK_FILTER, 1) : Result<>();
}

Result<> RestoreOne(const pb::SocketOption& option, const OptionRule& rule, int fd) {
  const auto now = Get(fd, rule);
  if (now && *now == option.value()) return {};
  const int set =
      setsockopt(fd, rule.level, rule.name, option.value().data(), static_cast<socklen_t>(option.value().size()));
  if (const int error = errno; set != 0) {
    return ErrnoError(error, "set option {} of level {} of a socket", rule.name, rule.level);
  }
  return {};
}

}  // namespace

std::span<const OptionRule> SocketLevelOptions() { return kSocketLevel; }

Result<pb::SocketOptions> CaptureSocketOptions(int fd, std::span<const OptionRule> more) {
  pb::SocketOptions options;
  for (const std::span<const OptionRule> rules : {SocketLevelOptions(), more}) {
    for (const OptionRule& rule : rules) {
      const auto value = Get(fd, rule);
      if (!value) continue;
      pb::SocketOption* option = options.add_options();
      option->set_level(rule.level);
      option->set_name(rule.name);
      option->set_value(*value);
    }
  }
  options.set_send_buffer(static_cast<uint32_t>(GetInt(fd, SO_SNDBUF)));
  options.set_receive_buffer(static_cast<uint32_t>(GetInt(fd, SO_RCVBUF)));
  options.set_buffer_lock(static_cast<uint32_t>(GetInt(fd, kSoBufLock)));
  BATON_CHECKED(CaptureFilter(fd, options));
  return options;
}

Result<> CheckSocketOptions(const pb::SocketOptions& options, std::span<const OptionRule> more) {
  for (const pb::SocketOption& option : options.options()) {
    const OptionRule* rule = FindRule(more, SocketLevelOptions(), option);
    if (rule == nullptr || option.value().size() > rule->max_bytes) {
      return MakeError(ErrorCode::kCorrupt, "socket option {} of level {} with {} bytes", option.name(), option.level(),
                       option.value().size());
    }
  }
  const bool sane = options.buffer_lock() <= 3 && options.filter().size() % sizeof(sock_filter) == 0 &&
                    options.filter().size() <= kMaxFilter && options.send_buffer() <= INT32_MAX &&
                    options.receive_buffer() <= INT32_MAX;
  if (sane) return {};
  return MakeError(ErrorCode::kCorrupt, "socket buffers of {} and {} bytes, locks {}, filter of {} bytes",
                   options.send_buffer(), options.receive_buffer(), options.buffer_lock(), options.filter().size());
}

Result<> RestoreSocketOptions(const pb::SocketOptions& options, std::span<const OptionRule> more, OptionTime when,
                              int fd) {
  for (const pb::SocketOption& option : options.options()) {
    const OptionRule* rule = FindRule(more, SocketLevelOptions(), option);
    if (rule != nullptr && rule->when == when) BATON_CHECKED(RestoreOne(option, *rule, fd));
  }
  return when == OptionTime::kLast ? RestoreFilter(options, fd) : Result<>();
}

// The limits of an ordinary user (net.core.wmem_max) may be below what root once allowed; the kernel then takes those.
Result<> RestoreSocketBuffers(const pb::SocketOptions& options, int fd) {
  constexpr uint32_t kSend = 1;
  constexpr uint32_t kReceive = 2;
  if ((options.buffer_lock() & kSend) != 0) {
    const int bytes = static_cast<int>(options.send_buffer() / 2);
    if (!SetInt(fd, SO_SNDBUFFORCE, bytes)) BATON_CHECKED(SetInt(fd, SO_SNDBUF, bytes));
  }
  if ((options.buffer_lock() & kReceive) != 0) {
    const int bytes = static_cast<int>(options.receive_buffer() / 2);
    if (!SetInt(fd, SO_RCVBUFFORCE, bytes)) BATON_CHECKED(SetInt(fd, SO_RCVBUF, bytes));
  }
  const int lock = static_cast<int>(options.buffer_lock());
  return GetInt(fd, kSoBufLock) == lock ? Result<>() : SetInt(fd, kSoBufLock, lock);
}

}  // namespace baton
