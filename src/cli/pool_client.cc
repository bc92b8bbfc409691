#include "cli/pool_client.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "keeper/paths.h"

namespace baton {
namespace {

std::string FromEnvironment(const std::string& flag, const char* variable) {
  const char* const value = getenv(variable);
  return flag.empty() && value != nullptr ? value : flag;
}

std::string OwnSocket(const GlobalOptions& globals) {
  const auto paths = StatePaths::Find(globals.state_dir);
  if (!paths) return "";
  return AbsolutePath(paths->state_dir() + "/controller/pool.sock").value_or("");
}

bool IsNumber(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

void AddPoolOptions(CLI::App* command, PoolFlags* flags) {
  command
      ->add_option("--controller", flags->controller,
                   "Where the pool's controller listens: unix:/PATH or 127.0.0.1:PORT (default: $BATON_CONTROLLER, "
                   "else the one of our state directory)")
      ->type_name("ADDRESS");
  command
      ->add_option("--token-file", flags->token_file,
                   "For 127.0.0.1:PORT: the controller's token (default: $BATON_TOKEN_FILE)")
      ->type_name("FILE");
}

Result<Endpoint> PoolEndpoint(const PoolFlags& flags, const GlobalOptions& globals) {
  const std::string named = FromEnvironment(flags.controller, "BATON_CONTROLLER");
  if (!named.empty()) return Endpoint::Parse(named);
  BATON_TRY(const StatePaths paths, StatePaths::Find(globals.state_dir));
  BATON_TRY(const std::string state_dir, AbsolutePath(paths.state_dir()));
  return Endpoint::Parse("unix:" + state_dir + "/controller/pool.sock");
}

bool PoolIsKnown(const PoolFlags& flags, const GlobalOptions& globals) {
  if (!FromEnvironment(flags.controller, "BATON_CONTROLLER").empty()) return true;
  return access(OwnSocket(globals).c_str(), F_OK) == 0;
}

Result<std::unique_ptr<RpcClient>> ConnectToPool(const PoolFlags& flags, const GlobalOptions& globals) {
  BATON_TRY(const Endpoint endpoint, PoolEndpoint(flags, globals));
  const std::string token_file = FromEnvironment(flags.token_file, "BATON_TOKEN_FILE");
  std::string token;
  if (!token_file.empty()) {
    BATON_TRY(token, ReadToken(token_file));
  }
  return RpcClient::Create(endpoint, token);
}

Result<uint64_t> ParseJobId(const std::string& text) {
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == 0) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no job of a pool: those have numbers (baton ps)", text);
  }
  return id;
}

bool MeansPoolJob(const std::string& name, const PoolFlags& flags, const GlobalOptions& globals) {
  if (!IsNumber(name)) return false;
  if (!flags.controller.empty()) return true;
  const auto paths = StatePaths::Find(globals.state_dir);
  return !paths || access(paths->record(name).c_str(), F_OK) != 0;
}

Result<pb::JobInfo> AwaitJob(RpcClient& client, uint64_t job, uint64_t request, std::chrono::milliseconds limit) {
  using std::chrono::milliseconds;
  const auto until = std::chrono::steady_clock::now() + limit;
  bool told = false;
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    constexpr milliseconds kTurn(10'000), kRetry(200);
    pb::WaitJobRequest wait;
    wait.set_job(job);
    wait.set_request(request);
    wait.set_max_wait_ms(static_cast<uint32_t>(std::clamp(left, milliseconds(0), kTurn).count()));
    auto reply = client.WaitJob(wait, kTurn + kCallPatience);
    if (!reply && reply.error().code() != ErrorCode::kUnavailable) return reply.Fail();
    if (reply) {
      const pb::JobInfo& info = reply->job();
      const bool over = info.state() != pb::JOB_QUEUED && info.state() != pb::JOB_ACTIVE;
      if (over || (request > 0 && info.request_done() >= request) || left <= milliseconds(0)) return info;
      continue;
    }
    if (left <= milliseconds(0)) return reply.Fail();
    if (!std::exchange(told, true)) std::cerr << "baton: " << reply.error().ToString() << "; waiting for it\n";
    std::this_thread::sleep_for(kRetry);
  }
}

}  // namespace baton
