#include "pool/keeper/run_unit.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/file.h"
#include "keeper/process_id.h"
#include "keeper/run_job.h"
#include "keeper/workspace_plan.h"
#include "pool/keeper/pool_unit.h"
#include "pool/keeper/saved_tree.h"
#include "pool/keeper/unit_files.h"
#include "pool/wire/convert.h"
#include "pool/wire/pool_store.h"

namespace baton {
namespace {

pool::UnitKey KeyOf(const pb::UnitStart& start) { return {.job = start.unit().job(), .epoch = start.unit().epoch()}; }

Result<> NoteOurselves(const UnitFiles& files, const pb::UnitStart& start) {
  pb::KeeperProcess keeper;
  BATON_TRY(const ProcessId us, IdentifyProcess(getpid()));
  keeper.set_pid(us.pid);
  keeper.set_start_time(us.start_time);
  if (start.has_user()) keeper.set_user(start.user());
  BATON_TRY(*keeper.mutable_boot_id(), BootId());
  return files.SaveKeeper(keeper);
}

// The user's own groups, where the system knows the user; else a group of the same number.
Result<> BecomeUser(uid_t user) {
  const passwd* known = getpwuid(user);
  const gid_t group = known != nullptr ? known->pw_gid : static_cast<gid_t>(user);
  const int grouped = known != nullptr ? initgroups(known->pw_name, group) : setgroups(0, nullptr);
  if (const int error = errno; grouped != 0) return ErrnoError(error, "take the groups of user {}", user);
  const int became = setresgid(group, group, group) == 0 ? setresuid(user, user, user) : -1;
  if (const int error = errno; became != 0) return ErrnoError(error, "become user {}", user);
  return {};
}

// Started anew, since the kernel keeps closed to a user what was root's. What calls the controller is started before,
// with root's right to do so; it speaks for this unit only.
Result<> GoOnAsUser(const std::string& directory, uid_t user) {
  BATON_TRY(const RenewalProcess renewal, StartRenewal(directory));
  BATON_CHECKED(BecomeUser(user));
  const int kept = fcntl(renewal.socket.get(), F_SETFD, 0);
  if (const int error = errno; kept != 0) return ErrnoError(error, "keep a descriptor");
  std::string program = "/proc/self/exe", name = "baton", command = "pool-keeper", path = directory, flag = "--renewal";
  std::string socket = std::to_string(renewal.socket.get());
  const std::array<char*, 6> argv{name.data(), command.data(), path.data(), flag.data(), socket.data(), nullptr};
  execv(program.c_str(), argv.data());
  const int error = errno;
  return ErrnoError(error, "start the keeper again as user {}", user);
}

// What the job sees as its workspace, on every worker: a place of its own, that hides nothing of the machine's.
constexpr const char* kWorkspace = "/tmp/job";

pb::JobSpec SpecOf(const pb::UnitStart& start) {
  pb::JobSpec spec = start.job().spec();
  spec.set_name(UnitName(KeyOf(start)));
  spec.set_files(pb::JobSpec::WORK);
  spec.set_cwd(kWorkspace);
  spec.set_workdir(kWorkspace);
  // The pool says when; a keeper of a pool makes none by itself.
  spec.set_every_ms(0);
  auto& env = *spec.mutable_env();
  env.erase(std::remove_if(env.begin(), env.end(), [](const std::string& entry) { return entry.starts_with("PWD="); }),
            env.end());
  spec.add_env(std::string("PWD=") + kWorkspace);
  return spec;
}

Result<RunRequest> RequestOf(const pb::UnitStart& start, const UnitFiles& files) {
  BATON_TRY(StatePaths paths, StatePaths::Find(files.state_dir()));
  const PoolStore store(start.store_dir());
  RunRequest request{.paths = std::move(paths), .spec = SpecOf(start), .store_dir = store.root()};
  BATON_CHECKED(MakeDirectories(store.logs()));
  request.output_path = store.log(KeyOf(start));
  request.copies = JobLog::Copies::kNone;
  request.every_ms = 0;
  request.place_workdir = files.work_dir();
  for (const pb::CheckpointId& id : start.resume_from()) {
    request.resume_from.push_back(
        {.name = UnitName({.job = start.unit().job(), .epoch = id.epoch()}), .number = id.number()});
  }
  request.resume = !request.resume_from.empty();
  return request;
}

// The workspace as it was submitted.
Result<> BringInput(const pb::UnitStart& start, const UnitFiles& files) {
  BATON_CHECKED(MakeDirectories(files.work_dir()));
  if (start.input().empty()) return {};
  const std::string input = PoolStore(start.store_dir()).input(start.input());
  auto loaded = LoadTree(SavedManifest(input), SavedObjects(input), files.work_dir());
  if (!loaded) return loaded.Fail("the job's input");
  return {};
}

// The log is in the store already.
Result<std::string> SaveResult(const pb::UnitStart& start, const UnitFiles& files) {
  const PoolStore store(start.store_dir());
  BATON_CHECKED(MakeDirectories(store.results()));
  const pb::JobSpec& spec = start.job().spec();
  auto saved = SaveTree(files.work_dir(), store.result(KeyOf(start)),
                        {.objects_dir = {},
                         .roots = {},
                         .excludes = {spec.exclude().begin(), spec.exclude().end()},
                         .skip_paths = {},
                         .limit_bytes = spec.workspace_limit_bytes()});
  if (!saved) return saved.Fail("save the result");
  return saved->hash;
}

Result<> ReportEnd(const pb::UnitStart& start, const UnitFiles& files, PoolUnit* unit, const JobEnd& ended) {
  pb::UnitReport end;
  *end.mutable_unit() = start.unit();
  end.set_state(pb::ENDED);
  end.set_exit_code(ended.exit_code);
  end.set_detail(ended.note);
  BATON_CHECKED(unit->While([&]() -> Result<> {
    BATON_TRY(*end.mutable_result(), SaveResult(start, files));
    return files.SaveEnd(end);
  }));
  return unit->Conclude(end);
}

}  // namespace

Result<> RunUnit(const std::string& directory, std::optional<UniqueFd> renewal) {
  const UnitFiles files(directory);
  BATON_TRY(const pb::UnitStart start, files.LoadStart());
  if (!renewal) BATON_CHECKED(NoteOurselves(files, start));
  if (start.has_user() && geteuid() == 0) return GoOnAsUser(directory, start.user());
  BATON_TRY(const auto unit, PoolUnit::Create(files, start, std::move(renewal)));
  BATON_TRY(RunRequest request, RequestOf(start, files));
  request.companion = unit.get();
  if (request.resume) {
    BATON_CHECKED(MakeDirectories(files.work_dir()));
  } else {
    BATON_CHECKED(BringInput(start, files));
  }
  auto ended = RunJob(request);
  unit->Detach();
  if (!unit->killed_why().empty()) return MakeError(ErrorCode::kUnavailable, "{}", unit->killed_why());
  if (!ended) return ended.Fail();
  return ReportEnd(start, files, unit.get(), *ended);
}

}  // namespace baton
