#include "keeper/job_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace baton {
namespace {

struct PipeEnds {
  UniqueFd job_end;
  UniqueFd our_end;
};

Result<PipeEnds> MakePipe() {
  std::array<int, 2> ends{};
  const int made = pipe2(ends.data(), O_CLOEXEC);
  if (const int error = errno; made != 0) return ErrnoError(error, "pipe");
  PipeEnds pipe{.job_end = UniqueFd(ends[1]), .our_end = UniqueFd(ends[0])};
  const int set = fcntl(pipe.our_end.get(), F_SETFL, O_NONBLOCK);
  if (const int error = errno; set != 0) return ErrnoError(error, "make a pipe non-blocking");
  return pipe;
}

Result<> CutTo(int fd, const std::string& path, uint64_t length) {
  struct stat status{};
  const int stated = fstat(fd, &status);
  if (const int error = errno; stated != 0) return ErrnoError(error, "{}", path);
  if (!S_ISREG(status.st_mode)) return {};  // /dev/null, a terminal: nothing to cut
  if (static_cast<uint64_t>(status.st_size) < length) {
    return MakeError(ErrorCode::kCorrupt, "log {} has {} bytes, but had {} at the checkpoint", path, status.st_size,
                     length);
  }
  const int cut = ftruncate(fd, static_cast<off_t>(length));
  if (const int error = errno; cut != 0) return ErrnoError(error, "cut {} to {} bytes", path, length);
  return {};
}

}  // namespace

Result<JobLog> JobLog::Open(const std::string& path, uint64_t length) {
  BATON_TRY(UniqueFd file, OpenFile(path, O_WRONLY | O_CREAT | O_APPEND, 0600));
  BATON_CHECKED(CutTo(file.get(), path, length));
  BATON_TRY(PipeEnds out, MakePipe());
  BATON_TRY(PipeEnds err, MakePipe());
  return JobLog(std::move(file), path, length,
                {.job_end = std::move(out.job_end), .our_end = std::move(out.our_end), .copy_fd = STDOUT_FILENO},
                {.job_end = std::move(err.job_end), .our_end = std::move(err.our_end), .copy_fd = STDERR_FILENO});
}

Result<> JobLog::Append(size_t index, std::string_view bytes) {
  if (auto written = WriteAll(file_.get(), bytes); !written) return written.Fail("log {}", path_);
  length_ += bytes.size();
  Stream& stream = streams_.at(index);
  if (stream.copying) stream.queue.append(bytes);
  return {};
}

Result<bool> JobLog::Pump(size_t index) {
  std::array<char, size_t{64} << 10> buffer{};
  while (true) {
    const ssize_t got = read(streams_.at(index).our_end.get(), buffer.data(), buffer.size());
    const int error = errno;
    if (got == 0) return false;
    if (got < 0 && error == EINTR) continue;
    if (got < 0 && error == EAGAIN) return true;
    if (got < 0) return ErrnoError(error, "read the job's output");
    BATON_CHECKED(Append(index, std::string_view(buffer.data(), static_cast<size_t>(got))));
    return true;
  }
}

Result<> JobLog::Drain() {
  for (size_t index = 0; index < streams_.size(); ++index) {
    uint64_t before = 0;
    do {
      before = length_;
      BATON_CHECKED(Pump(index));
    } while (length_ != before);
  }
  return {};
}

void JobLog::CopyStream(Stream* stream, bool flush) {
  // A pipe or terminal that polls writable takes PIPE_BUF bytes without blocking; our stdout may not be made
  // non-blocking, since it is shared with whoever started us.
  constexpr size_t kChunk = 4096;
  size_t copied = 0;
  while (copied < stream->queue.size()) {
    pollfd ready{.fd = stream->copy_fd, .events = POLLOUT, .revents = 0};
    if (!flush && poll(&ready, 1, 0) <= 0) break;
    const size_t size = std::min(kChunk, stream->queue.size() - copied);
    const ssize_t put = write(stream->copy_fd, stream->queue.data() + copied, size);
    const int error = errno;
    if (put < 0 && (error == EINTR || error == EAGAIN)) continue;
    if (put < 0) {
      stream->copying = false;
      stream->queue.clear();
      return;
    }
    copied += static_cast<size_t>(put);
  }
  stream->queue.erase(0, copied);
}

void JobLog::CopyOut(bool flush) {
  for (Stream& stream : streams_) CopyStream(&stream, flush);
}

Result<> JobLog::Sync() const {
  const int synced = fdatasync(file_.get());
  const int error = errno;
  if (synced == 0 || error == EINVAL || error == EROFS) return {};  // EINVAL: a device or pipe
  return ErrnoError(error, "sync {}", path_);
}

void JobLog::CloseJobSide() {
  for (Stream& stream : streams_) {
    // UniqueFd always holds one: our own end twice does no harm.
    if (auto copy = DupFd(stream.our_end.get())) stream.job_end = std::move(*copy);
  }
}

}  // namespace baton
