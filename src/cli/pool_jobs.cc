#include "cli/pool_jobs.h"

#include "cli/pool_client.h"
#include "cli/pool_text.h"

namespace baton {
namespace {

Result<pb::ShowJobReply> Ask(RpcClient& client, uint64_t job) {
  pb::ShowJobRequest request;
  request.set_job(job);
  return client.ShowJob(request, kCallPatience);
}

}  // namespace

Result<int> ShowPoolJob(RpcClient& client, uint64_t job, OutputFormat format) {
  BATON_TRY(const pb::ShowJobReply shown, Ask(client, job));
  if (format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(JobJson(shown)));
  } else {
    BATON_CHECKED(PrintText(JobText(shown)));
  }
  return 0;
}

Result<int> CheckpointPoolJob(RpcClient& client, uint64_t job, OutputFormat format) {
  pb::ChangeJobRequest change;
  change.set_job(job);
  change.mutable_checkpoint();
  BATON_TRY(const pb::ChangeJobReply asked, client.ChangeJob(change, kCallPatience));
  BATON_TRY(const pb::JobInfo info, AwaitJob(client, job, asked.request()));
  if (info.request_done() < asked.request()) {
    return MakeError(ErrorCode::kUnavailable, "job {} is over: {}", job, JobStateText(info));
  }
  if (!info.request_error().empty()) {
    return MakeError(ErrorCode::kUnavailable, "checkpoint of job {}: {}", job, info.request_error());
  }
  BATON_TRY(const pb::ShowJobReply shown, Ask(client, job));
  if (shown.checkpoints_size() == 0) return MakeError(ErrorCode::kInternal, "job {} has no checkpoint", job);
  const pb::CheckpointInfo& made = shown.checkpoints(shown.checkpoints_size() - 1);
  const nlohmann::json all = JobJson(shown);
  if (format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(all["checkpoints"].back()));
    return 0;
  }
  using std::chrono::milliseconds;
  BATON_CHECKED(PrintText(fmt::format("checkpoint {}: pause {}, {}, {} in all\n", CheckpointName(made.id()),
                                      FormatDuration(milliseconds(static_cast<int64_t>(made.pause_ms()))),
                                      FormatBytes(made.bytes()),
                                      FormatDuration(milliseconds(static_cast<int64_t>(made.total_ms()))))));
  return 0;
}

}  // namespace baton
