#include "keeper/job_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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

bool SameThing(int a, int b) {
  struct stat first{};
  struct stat second{};
  if (fstat(a, &first) != 0 || fstat(b, &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
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

Result<JobLog> JobLog::Open(const std::string& path, uint64_t length, Copies copies) {
  BATON_TRY(UniqueFd file, OpenFile(path, O_WRONLY | O_CREAT | O_APPEND, 0600));
  BATON_CHECKED(CutTo(file.get(), path, length));
  std::vector<UniqueFd> job_ends;
  std::vector<Stream> streams;
  BATON_TRY(PipeEnds out, MakePipe());
  job_ends.push_back(std::move(out.job_end));
  streams.push_back({.our_end = std::move(out.our_end), .copy_fd = STDOUT_FILENO});
  streams.back().copying = copies == Copies::kToOurs;
  if (copies == Copies::kNone || SameThing(STDOUT_FILENO, STDERR_FILENO)) {
    // Opened anew, not copied: an open file of its own, which kcmp(2) tells from the other.
    BATON_TRY(UniqueFd again, OpenFile(fmt::format("/proc/self/fd/{}", job_ends.front().get()), O_WRONLY));
    job_ends.push_back(std::move(again));
  } else {
    BATON_TRY(PipeEnds err, MakePipe());
    job_ends.push_back(std::move(err.job_end));
    streams.push_back({.our_end = std::move(err.our_end), .copy_fd = STDERR_FILENO});
  }
  return JobLog(std::move(file), path, length, std::move(job_ends), std::move(streams));
}

Result<> JobLog::WritePending() {
  while (!pending_.empty()) {
    const ssize_t put = write(file_.get(), pending_.data(), pending_.size());
    const int error = errno;
    if (put < 0 && error == EINTR) continue;
    if (put < 0) return ErrnoError(error, "write log {}", path_);
    length_ += static_cast<size_t>(put);
    pending_.erase(0, static_cast<size_t>(put));
  }
  return {};
}

Result<> JobLog::Pump(size_t index) {
  BATON_CHECKED(WritePending());
  std::array<char, size_t{64} << 10> buffer{};
  Stream& stream = streams_.at(index);
  ssize_t got = 0;
  int error = 0;
  do {
    got = read(stream.our_end.get(), buffer.data(), buffer.size());
    error = errno;
  } while (got < 0 && error == EINTR);
  if (got < 0 && error == EAGAIN) return {};
  if (got < 0) return ErrnoError(error, "read the job's output");
  const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
  pending_.append(bytes);
  if (stream.copying) stream.queue.append(bytes);
  return WritePending();
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

}  // namespace baton
