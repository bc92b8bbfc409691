// The log of a pool's job. Each attempt has a file of its own in the store, which begins with what was written before
// the checkpoint that the attempt began with (pool/wire/pool_store.h).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iostream>
#include <optional>

#include "base/file.h"
#include "cli/pool_client.h"
#include "cli/pool_jobs.h"
#include "pool/keeper/unit_files.pb.h"
#include "pool/wire/pool_store.h"

namespace baton {
namespace {

bool IsOver(const pb::JobInfo& job) { return job.state() != pb::JOB_QUEUED && job.state() != pb::JOB_ACTIVE; }

class LogReader {
 public:
  LogReader(std::string store_dir, uint64_t job) : store_(std::move(store_dir)), job_(job) {}

  // Goes over to the newest attempt, up to `newest`, that has begun to write.
  Result<> TurnTo(uint64_t newest) {
    for (uint64_t epoch = newest; epoch > epoch_; --epoch) {
      auto bytes = ReadFile(store_.attempt_start({.job = job_, .epoch = epoch}));
      if (!bytes && bytes.error().code() == ErrorCode::kNotFound) continue;
      if (!bytes) return bytes.Fail();
      pb::AttemptStart from;
      if (!from.ParseFromString(*bytes))
        return MakeError(ErrorCode::kCorrupt, "the log of attempt {} is damaged", epoch);
      return Take(epoch, from);
    }
    return {};
  }

  // Prints what is new. An attempt that was removed meanwhile has nothing new.
  Result<> Print() {
    while (file_) {
      std::array<char, size_t{64} << 10> buffer{};
      const ssize_t got = pread(file_->get(), buffer.data(), buffer.size(), static_cast<off_t>(offset_));
      const int error = errno;
      if (got < 0 && error == EINTR) continue;
      if (got < 0) return ErrnoError(error, "read the log");
      if (got == 0) return {};
      offset_ += static_cast<uint64_t>(got);
      BATON_CHECKED(WriteAll(STDOUT_FILENO, std::string_view(buffer.data(), static_cast<size_t>(got))));
    }
    return {};
  }

  std::string path() const { return epoch_ == 0 ? "" : store_.log({.job = job_, .epoch = epoch_}); }

 private:
  Result<> Take(uint64_t epoch, const pb::AttemptStart& from) {
    BATON_TRY(file_, OpenFile(store_.log({.job = job_, .epoch = epoch}), O_RDONLY));
    epoch_ = epoch;
    if (offset_ <= from.bytes()) return {};
    offset_ = from.bytes();
    const std::string to =
        from.number() == 0 ? "the beginning" : fmt::format("checkpoint {}.{}", from.epoch(), from.number());
    std::cerr << "--- rolled back to " << to << " ---" << std::endl;
    return {};
  }

  PoolStore store_;
  uint64_t job_;
  uint64_t epoch_ = 0;
  uint64_t offset_ = 0;
  std::optional<UniqueFd> file_;
};

// A turn's end is also when the job is over.
Result<> Follow(RpcClient& client, uint64_t job, LogReader& reader) {
  constexpr std::chrono::milliseconds kTurn(200);
  while (true) {
    BATON_TRY(const pb::JobInfo info, AwaitJob(client, job, 0, kTurn));
    BATON_CHECKED(reader.TurnTo(info.epoch()));
    BATON_CHECKED(reader.Print());
    if (IsOver(info)) return {};
  }
}

}  // namespace

Result<int> LogsOfPoolJob(RpcClient& client, uint64_t job, bool follow, OutputFormat format) {
  pb::ShowJobRequest request;
  request.set_job(job);
  BATON_TRY(const pb::ShowJobReply shown, client.ShowJob(request, kCallPatience));
  LogReader reader(shown.store_dir(), job);
  BATON_CHECKED(reader.TurnTo(shown.job().epoch()));
  if (format == OutputFormat::kJson) {
    std::string text;
    if (!reader.path().empty()) {
      BATON_TRY(text, ReadFile(reader.path()));
    }
    BATON_CHECKED(PrintJson({{"job", job}, {"path", reader.path()}, {"bytes", text.size()}, {"text", text}}));
    return 0;
  }
  BATON_CHECKED(reader.Print());
  if (follow) BATON_CHECKED(Follow(client, job, reader));
  return 0;
}

}  // namespace baton
