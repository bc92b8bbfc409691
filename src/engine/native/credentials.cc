#include "engine/native/credentials.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/fault.h"
#include "proc/process_files.h"

namespace baton {
namespace {

Result<> RestoreIds(RemoteSyscalls& calls, const pb::CredentialsRecord& wanted, const ProcStatus& now) {
  const bool same_users = std::ranges::equal(wanted.uids(), now.uid);
  const bool same_groups =
      std::ranges::equal(wanted.gids(), now.gid) && std::ranges::equal(wanted.groups(), now.groups);
  if (same_users && same_groups) return {};
  calls.ResetArguments();
  const std::vector<uint32_t> groups(wanted.groups().begin(), wanted.groups().end());
  BATON_TRY(const RemotePtr<> at, calls.Put(std::as_bytes(std::span(groups))));
  BATON_CHECKED(calls.Do("setgroups", SYS_setgroups, groups.size(), at));
  BATON_CHECKED(calls.Do("setresgid", SYS_setresgid, wanted.gids(0), wanted.gids(1), wanted.gids(2)));
  BATON_CHECKED(calls.Do("keep capabilities", SYS_prctl, PR_SET_KEEPCAPS, 1));
  BATON_CHECKED(calls.Do("setresuid", SYS_setresuid, wanted.uids(0), wanted.uids(1), wanted.uids(2)));
  BATON_CHECKED(calls.Call(SYS_prctl, PR_SET_KEEPCAPS, 0));
  BATON_CHECKED(calls.Call(SYS_setfsgid, wanted.gids(3)));
  BATON_CHECKED(calls.Call(SYS_setfsuid, wanted.uids(3)));
  return {};
}

Result<> RestoreCapabilities(RemoteSyscalls& calls, const pb::CredentialsRecord& wanted, const ProcStatus& now) {
  calls.ResetArguments();
  for (int capability = 0; capability < 64; ++capability) {
    const uint64_t bit = uint64_t{1} << capability;
    if ((now.cap_bnd & bit) == 0 || (wanted.bounding() & bit) != 0) continue;
    BATON_CHECKED(calls.Call(SYS_prctl, PR_CAPBSET_DROP, capability));
  }
  const uint64_t permitted = wanted.permitted() & now.cap_prm;
  const uint64_t effective = wanted.effective() & permitted;
  const uint64_t inheritable = wanted.inheritable();
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const auto low = [](uint64_t set) { return static_cast<uint32_t>(set); };
  const auto high = [](uint64_t set) { return static_cast<uint32_t>(set >> 32U); };
  const std::array<__user_cap_data_struct, 2> data{
      {{low(effective), low(permitted), low(inheritable)}, {high(effective), high(permitted), high(inheritable)}}};
  BATON_TRY(const auto header_at, calls.PutValue(header));
  BATON_TRY(const auto data_at, calls.PutValue(data));
  if (wanted.securebits() != 0) BATON_CHECKED(calls.Call(SYS_prctl, PR_SET_SECUREBITS, wanted.securebits()));
  BATON_CHECKED(calls.Do("set capabilities", SYS_capset, header_at, data_at));
  for (int capability = 0; capability < 64; ++capability) {
    if ((wanted.ambient() >> capability & 1U) == 0) continue;
    BATON_CHECKED(calls.Call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0));
  }
  return {};
}

}  // namespace

pb::CredentialsRecord CredentialsOf(const ProcStatus& status) {
  pb::CredentialsRecord credentials;
  for (const uid_t uid : status.uid) credentials.add_uids(uid);
  for (const gid_t gid : status.gid) credentials.add_gids(gid);
  for (const gid_t group : status.groups) credentials.add_groups(group);
  credentials.set_inheritable(status.cap_inh);
  credentials.set_permitted(status.cap_prm);
  credentials.set_effective(status.cap_eff);
  credentials.set_bounding(status.cap_bnd);
  credentials.set_ambient(status.cap_amb);
  return credentials;
}

void CaptureOwnCredentials(const ProcStatus& status, const pb::ProcessRecord& process, pb::ThreadRecord& thread) {
  pb::CredentialsRecord own = CredentialsOf(status);
  own.set_securebits(process.credentials().securebits());
  if (own.SerializeAsString() != process.credentials().SerializeAsString()) *thread.mutable_credentials() = own;
}

Result<> RestoreCredentials(BlankTask& thread, const pb::ProcessRecord& process, const pb::ThreadRecord& record) {
  BATON_CHECKED(FailPoint("restore.credentials"));
  RemoteSyscalls& calls = thread.calls();
  BATON_TRY(const ProcStatus now, ReadStatus(thread.host_pid(), thread.host_tid()));
  const pb::CredentialsRecord& wanted = record.has_credentials() ? record.credentials() : process.credentials();
  if (wanted.uids_size() != 4 || wanted.gids_size() != 4)
    return MakeError(ErrorCode::kCorrupt, "credentials of process {}", process.pid());
  BATON_CHECKED(RestoreIds(calls, wanted, now));
  BATON_CHECKED(RestoreCapabilities(calls, wanted, now));
  if (record.no_new_privs()) BATON_CHECKED(calls.Do("no_new_privs", SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  // After the identity: a change of that clears it.
  BATON_CHECKED(calls.Do("parent-death signal", SYS_prctl, PR_SET_PDEATHSIG, record.parent_death_signal()));
  return {};
}

}  // namespace baton
