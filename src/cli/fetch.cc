// baton fetch JOB DIR: the workspace of a pool's job.
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/format.h"
#include "cli/pool_client.h"
#include "cli/pool_text.h"
#include "keeper/checkpoint_record.h"
#include "keeper/paths.h"
#include "pool/keeper/saved_tree.h"
#include "pool/wire/pool_store.h"
#include "store/directory_store.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

struct FetchFlags {
  PoolFlags pool;
  std::string job, directory;
};

Result<> CheckEmpty(const std::string& directory) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(directory, error))) return {};
  if (fs::is_directory(directory, error) && fs::is_empty(directory, error) && !error) return {};
  return MakeError(ErrorCode::kConflict, "{} is there already: fetch into a new directory", directory);
}

// What was fetched, for the user.
Result<std::string> FetchResult(const PoolStore& store, const pool::UnitKey& unit, const std::string& to) {
  const std::string result = store.result(unit);
  BATON_CHECKED(LoadTree(SavedManifest(result), SavedObjects(result), to));
  return "the result";
}

Result<std::string> FetchCheckpoint(const PoolStore& store, const pb::ShowJobReply& shown, const std::string& to) {
  const DirectoryStore checkpoints(store.root());
  for (int i = shown.checkpoints_size() - 1; i >= 0; --i) {
    const pb::CheckpointInfo& info = shown.checkpoints(i);
    if (info.dropped()) continue;
    const std::string unit = UnitName({.job = shown.job().id(), .epoch = info.id().epoch()});
    const std::string manifest = WorkspaceFile(checkpoints.CheckpointPath(unit, info.id().number()));
    BATON_CHECKED(LoadTree(manifest, checkpoints.ObjectsPath(unit), to));
    return "checkpoint " + CheckpointName(info.id());
  }
  return MakeError(ErrorCode::kNotFound, "job {} ({}) has no checkpoint yet", shown.job().id(),
                   JobStateText(shown.job()));
}

// The job goes on meanwhile, and what is being read may be replaced by something newer.
Result<std::string> FetchOnce(RpcClient& client, uint64_t job, const std::string& to) {
  pb::ShowJobRequest request;
  request.set_job(job);
  BATON_TRY(const pb::ShowJobReply shown, client.ShowJob(request, kCallPatience));
  const PoolStore store(shown.store_dir());
  if (shown.job().state() == pb::JOB_ENDED) {
    return FetchResult(store, {.job = job, .epoch = shown.job().result_epoch()}, to);
  }
  return FetchCheckpoint(store, shown, to);
}

Result<int> Fetch(const GlobalOptions& globals, const FetchFlags& flags) {
  BATON_TRY(const uint64_t job, ParseJobId(flags.job));
  BATON_TRY(const std::string to, AbsolutePath(flags.directory));
  BATON_CHECKED(CheckEmpty(to));
  BATON_TRY(const auto client, ConnectToPool(flags.pool, globals));
  constexpr int kTries = 5;
  for (int attempt = 1;; ++attempt) {
    const bool was_there = fs::exists(to);
    auto fetched = FetchOnce(*client, job, to);
    if (fetched) {
      BATON_CHECKED(PrintText(fmt::format("{} of job {} is in {}\n", *fetched, job, to)));
      return 0;
    }
    std::error_code error;
    if (!was_there) fs::remove_all(to, error);
    const bool gone = fetched.error().code() == ErrorCode::kNotFound || fetched.error().code() == ErrorCode::kCorrupt;
    if (attempt == kTries || !gone) return fetched.Fail();
  }
}

}  // namespace

void AddFetchCommand(const CommandLineParser& parser) {
  auto flags = std::make_shared<FetchFlags>();
  CLI::App* command = parser.app->add_subcommand("fetch", "Get the workspace of a pool's job");
  command->add_option("job", flags->job, "The job's number")->required()->type_name("JOB");
  command->add_option("directory", flags->directory, "Where to put it; must not exist or be empty")
      ->required()
      ->type_name("DIR");
  AddPoolOptions(command, &flags->pool);
  command->footer(R"(
Of a job that has ended: as it was at the end, its result. Of any other: as of
its last checkpoint.

Example:
  baton fetch 3 ./result)");
  command->callback([flags, globals = parser.globals, chosen = parser.chosen] {
    *chosen = [flags, globals] { return Fetch(*globals, *flags); };
  });
}

}  // namespace baton
