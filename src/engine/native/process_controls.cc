#include "engine/native/process_controls.h"

#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <sys/syscall.h>

#include <algorithm>

namespace baton {
namespace {

// Newer than Debian 12's headers.
constexpr int kPrSetMdwe = 65;
constexpr int kPrGetMdwe = 66;
constexpr int kPrSetMemoryMerge = 67;
constexpr int kPrGetMemoryMerge = 68;
constexpr int kMembarrierGetRegistrations = 1 << 9;  // Linux 6.3

// Each registration has a bit of its own, which is the command that makes it.
Result<> RestoreMembarriers(RemoteSyscalls& calls, uint32_t registrations) {
  for (uint32_t left = registrations; left != 0; left &= left - 1) {
    BATON_CHECKED(calls.Do("register for membarrier", SYS_membarrier, left & -left, 0, 0));
  }
  return {};
}

}  // namespace

Result<> CaptureProcessControls(RemoteSyscalls& calls, pb::ProcessRecord& record) {
  calls.ResetArguments();
  BATON_TRY(const auto subreaper, calls.PutValue(uint64_t{0}));
  RemoteCall batch[] = {{SYS_prctl, {PR_GET_DUMPABLE}},
                        {SYS_prctl, {PR_GET_CHILD_SUBREAPER, subreaper.value()}},
                        {SYS_prctl, {PR_GET_THP_DISABLE}},
                        {SYS_prctl, {PR_GET_SECUREBITS}},
                        {SYS_brk, {0}},
                        {SYS_prctl, {kPrGetMdwe, 0, 0, 0, 0}},
                        {SYS_membarrier, {kMembarrierGetRegistrations, 0, 0}},
                        {SYS_prctl, {kPrGetMemoryMerge, 0, 0, 0, 0}}};
  BATON_CHECKED(calls.Run(batch));
  record.set_dumpable(static_cast<uint32_t>(batch[0].result));
  BATON_TRY(const uint64_t is_subreaper, calls.Get(subreaper));
  record.set_subreaper((is_subreaper & 0xffffffffU) != 0);
  record.set_thp_disabled(batch[2].result == 1);
  record.mutable_credentials()->set_securebits(static_cast<uint32_t>(std::max<int64_t>(0, batch[3].result)));
  record.mutable_layout()->set_brk(static_cast<uint64_t>(batch[4].result));
  if (batch[5].result > 0) record.set_mdwe(static_cast<uint32_t>(batch[5].result));
  record.set_merges_memory(batch[7].result == 1);
  if (batch[6].result > 0) record.set_membarriers(static_cast<uint32_t>(batch[6].result));
  return {};
}

Result<> RestoreProcessControls(RemoteSyscalls& calls, const pb::ProcessRecord& record) {
  if (record.thp_disabled()) BATON_CHECKED(calls.Do("PR_SET_THP_DISABLE", SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0));
  if (record.subreaper()) BATON_CHECKED(calls.Do("PR_SET_CHILD_SUBREAPER", SYS_prctl, PR_SET_CHILD_SUBREAPER, 1));
  if (record.merges_memory()) BATON_CHECKED(calls.Do("PR_SET_MEMORY_MERGE", SYS_prctl, kPrSetMemoryMerge, 1, 0, 0, 0));
  BATON_CHECKED(RestoreMembarriers(calls, record.membarriers()));
  if (record.mdwe() != 0) BATON_CHECKED(calls.Do("PR_SET_MDWE", SYS_prctl, kPrSetMdwe, record.mdwe(), 0, 0, 0));
  return {};
}

}  // namespace baton
