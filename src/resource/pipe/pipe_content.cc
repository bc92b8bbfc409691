#include "resource/pipe/pipe_content.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/file.h"
#include "base/unique_fd.h"

namespace baton {
namespace {

Result<size_t> BytesIn(int fd) {
  int bytes = 0;
  const int asked = ioctl(fd, FIONREAD, &bytes);
  if (const int error = errno; asked != 0) return ErrnoError(error, "FIONREAD of a pipe");
  return static_cast<size_t>(bytes);
}

// A pipe of ours with the same bytes.
class Copy {
 public:
  static Result<Copy> Of(int source, size_t bytes) {
    std::array<int, 2> ends{};
    const int made = pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK);
    if (const int error = errno; made != 0) return ErrnoError(error, "pipe");
    Copy copy{UniqueFd(ends[0]), UniqueFd(ends[1])};
    // As many buffers as the source has; it may be refused above the user's limit, and less may do.
    fcntl(ends[1], F_SETPIPE_SZ, fcntl(source, F_GETPIPE_SZ));
    const ssize_t copied = tee(source, ends[1], bytes, SPLICE_F_NONBLOCK);
    if (const int error = errno; copied < 0) return ErrnoError(error, "look into a pipe");
    if (static_cast<size_t>(copied) != bytes) {
      return MakeError(ErrorCode::kUnavailable,
                       "only {} of {} bytes in a pipe could be seen: raise /proc/sys/fs/pipe-max-size or "
                       "/proc/sys/fs/pipe-user-pages-soft, or wait until it is less full",
                       copied, bytes);
    }
    return copy;
  }

  int fd() const { return read_.get(); }

  Result<std::vector<std::byte>> Take(size_t bytes) {
    std::vector<std::byte> taken(bytes);
    const ssize_t got = bytes == 0 ? 0 : read(read_.get(), taken.data(), bytes);
    if (const int error = errno; got < 0) return ErrnoError(error, "read a copy of a pipe");
    taken.resize(static_cast<size_t>(got));
    return taken;
  }
  // How many bytes are gone when `bytes` are read: more than those if they are the front of a packet.
  Result<size_t> GoneAfter(size_t bytes) {
    BATON_TRY(const size_t before, BytesIn(fd()));
    BATON_CHECKED(Take(bytes));
    BATON_TRY(const size_t after, BytesIn(fd()));
    return before - after;
  }

 private:
  Copy(UniqueFd read, UniqueFd write) : read_(std::move(read)), write_(std::move(write)) {}
  UniqueFd read_;
  UniqueFd write_;
};

// What one read each can fetch: all plain bytes, or those up to the end of the next packet.
Result<std::vector<uint32_t>> Segments(Copy& copy, PipeContent& content, size_t total) {
  std::vector<uint32_t> segments;
  while (content.bytes.size() < total) {
    BATON_TRY(const std::vector<std::byte> segment, copy.Take(total - content.bytes.size()));
    if (segment.empty()) return MakeError(ErrorCode::kInternal, "a copy of a pipe ends early");
    content.bytes.insert(content.bytes.end(), segment.begin(), segment.end());
    segments.push_back(static_cast<uint32_t>(segment.size()));
  }
  return segments;
}

enum class Shape { kPlain, kPacket, kMixed };

// `from_front` and `to_end` have this segment in front, and lose it.
Result<Shape> ShapeOf(uint32_t bytes, bool last, bool last_is_packet, Copy& from_front, Copy& to_end) {
  if (bytes == 1) {
    BATON_CHECKED(from_front.Take(1));
    BATON_CHECKED(to_end.Take(1));
    return !last || last_is_packet ? Shape::kPacket : Shape::kPlain;
  }
  BATON_TRY(const size_t front, from_front.GoneAfter(1));
  BATON_CHECKED(from_front.Take(bytes - front));
  BATON_TRY(const size_t end, to_end.GoneAfter(bytes - 1));
  BATON_CHECKED(to_end.Take(bytes - end));
  if (front == bytes) return Shape::kPacket;
  return end == bytes ? Shape::kMixed : Shape::kPlain;
}

Result<> FindPackets(PipeContent& content, const std::vector<uint32_t>& segments, bool last_is_packet, Copy& from_front,
                     Copy& to_end) {
  size_t packets = 0;
  bool mixed = false;
  for (size_t i = 0; i < segments.size(); ++i) {
    BATON_TRY(const Shape shape, ShapeOf(segments[i], i + 1 == segments.size(), last_is_packet, from_front, to_end));
    packets += shape == Shape::kPacket ? 1 : 0;
    mixed = mixed || shape == Shape::kMixed;
  }
  if (mixed || (packets != 0 && packets != segments.size())) {
    return MakeError(ErrorCode::kNotSupported,
                     "this pipe holds plain bytes and packets (O_DIRECT) at once; let the program read it first");
  }
  if (packets != 0) content.packets = segments;
  return {};
}

Result<std::optional<UniqueFd>> ReaderOf(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (const int error = errno; flags < 0) return ErrnoError(error, "F_GETFL of a pipe");
  if ((flags & O_ACCMODE) != O_WRONLY) return std::optional<UniqueFd>();
  auto reader = OpenFile(fmt::format("/proc/self/fd/{}", fd), O_RDONLY | O_NONBLOCK);
  if (!reader) return reader.Fail("open the other end of a pipe to see what is in it");
  return std::optional<UniqueFd>(std::move(*reader));
}

}  // namespace

Result<PipeContent> PeekPipe(int fd, bool last_is_packet) {
  PipeContent content;
  BATON_TRY(const size_t total, BytesIn(fd));
  if (total == 0) return content;
  BATON_TRY(const std::optional<UniqueFd> reader, ReaderOf(fd));
  BATON_TRY(Copy bytes, Copy::Of(reader ? reader->get() : fd, total));
  BATON_TRY(Copy from_front, Copy::Of(bytes.fd(), total));
  BATON_TRY(Copy to_end, Copy::Of(bytes.fd(), total));
  BATON_TRY(const std::vector<uint32_t> segments, Segments(bytes, content, total));
  BATON_CHECKED(FindPackets(content, segments, last_is_packet, from_front, to_end));
  return content;
}

}  // namespace baton
