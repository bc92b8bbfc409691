#include "resource/mqueue/messages.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <mqueue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <vector>

#include "base/file.h"

namespace baton {
namespace {

template <typename T>
Result<T> Number(std::string_view text, std::string_view key) {
  const size_t at = text.find(key);
  const char* end = text.data() + text.size();
  T value{};
  if (at == std::string_view::npos || std::from_chars(text.data() + at + key.size(), end, value).ec != std::errc()) {
    return MakeError(ErrorCode::kCorrupt, "state of a message queue: no {} in \"{}\"", key, text);
  }
  return value;
}

Result<mq_attr> AttributesOf(int queue) {
  mq_attr attributes{};
  const int got = mq_getattr(queue, &attributes);
  if (const int error = errno; got != 0) return ErrnoError(error, "attributes of a message queue");
  return attributes;
}

// The next one; none if the queue is empty.
Result<bool> Receive(int queue, std::vector<char>& room, pb::MqueueMessage& message) {
  unsigned priority = 0;
  const ssize_t got = mq_receive(queue, room.data(), room.size(), &priority);
  const int error = errno;
  if (got < 0 && error == EAGAIN) return false;
  if (got < 0) return ErrnoError(error, "take a message out of a queue");
  message.set_priority(priority);
  message.set_content(room.data(), static_cast<size_t>(got));
  return true;
}

Result<pb::MqueueContent> TakeAll(int queue) {
  BATON_TRY(const mq_attr attributes, AttributesOf(queue));
  std::vector<char> room(static_cast<size_t>(attributes.mq_msgsize));
  pb::MqueueContent content;
  for (long i = 0; i < attributes.mq_curmsgs; ++i) {
    pb::MqueueMessage message;
    auto received = Receive(queue, room, message);
    if (!received) {
      BATON_CHECKED(FillQueue(queue, content));
      return received.Fail();
    }
    if (!*received) break;
    *content.add_messages() = std::move(message);
  }
  return content;
}

}  // namespace

Result<QueueState> ParseQueueState(std::string_view text) {
  QueueState state;
  BATON_TRY(state.bytes, Number<uint64_t>(text, "QSIZE:"));
  BATON_TRY(state.notify, Number<int>(text, "NOTIFY:"));
  BATON_TRY(state.notified, Number<pid_t>(text, "NOTIFY_PID:"));
  return state;
}

Result<UniqueFd> ReopenQueue(int fd) {
  auto reopened = OpenFile(fmt::format("/proc/self/fd/{}", fd), O_RDWR | O_NONBLOCK);
  if (reopened || reopened.error().saved_errno() != EACCES) return reopened;
  return Error(ErrorCode::kNotSupported, EACCES,
               "a message queue that we may not read and write: give its owner both, or run Baton as root");
}

Result<QueueState> ReadQueueState(int queue) {
  std::array<char, 256> text{};
  const ssize_t got = pread(queue, text.data(), text.size(), 0);
  if (const int error = errno; got < 0) return ErrnoError(error, "read the state of a message queue");
  return ParseQueueState({text.data(), static_cast<size_t>(got)});
}

Result<pb::MqueueContent> LookIntoQueue(int queue) {
  BATON_TRY(pb::MqueueContent content, TakeAll(queue));
  BATON_CHECKED(FillQueue(queue, content));
  return content;
}

Result<> EmptyQueue(int queue) {
  BATON_CHECKED(TakeAll(queue));
  return {};
}

// Those of one priority are received in the order in which they were sent.
Result<> FillQueue(int queue, const pb::MqueueContent& content) {
  for (const pb::MqueueMessage& message : content.messages()) {
    const int sent = mq_send(queue, message.content().data(), message.content().size(), message.priority());
    if (const int error = errno; sent != 0) return ErrnoError(error, "put a message into a queue");
  }
  return {};
}

bool IsOpenAnywhere(uint64_t device, uint64_t inode) {
  std::error_code ignored;
  for (const auto& process : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = process.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    for (const auto& fd : std::filesystem::directory_iterator(process.path() / "fd", ignored)) {
      struct stat status{};
      const bool seen = stat(fd.path().c_str(), &status) == 0;
      if (seen && status.st_dev == device && status.st_ino == inode) return true;
    }
  }
  return false;
}

}  // namespace baton
