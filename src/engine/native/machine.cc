#include "engine/native/machine.h"

#include <immintrin.h>
#include <unistd.h>
#include <xxhash.h>

#include <string>
#include <vector>

#include "proc/process_files.h"
#include "task/remote_memory.h"

namespace baton {
namespace {

// XCR0: which register state the operating system has switched on (Intel SDM 1, 13.3).
uint64_t EnabledXstate() {
  uint32_t low = 0;
  uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32U) | low;
}

// Digest of this kernel's vDSO: restored programs call into it at the addresses they know.
Result<std::string> VdsoDigest() {
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(getpid()));
  for (const MapsEntry& entry : maps) {
    if (entry.path != "[vdso]") continue;
    const XXH128_hash_t hash = XXH3_128bits(reinterpret_cast<const void*>(entry.start), entry.size());
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    return std::string(reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest);
  }
  return std::string();
}

}  // namespace

Result<> DescribeMachine(pid_t pid, pb::UnitRecord& record) {
  record.set_xstate_features(EnabledXstate());
  BATON_TRY(const std::string digest, VdsoDigest());
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(pid));
  for (const MapsEntry& entry : maps) {
    if (entry.path == "[vdso]") record.set_vdso(digest);
  }
  return {};
}

Result<> CheckMachine(const pb::UnitRecord& record) {
  const uint64_t missing = record.xstate_features() & ~EnabledXstate();
  if (missing != 0) {
    return MakeError(
        ErrorCode::kNotSupported,
        "the programs were saved on a CPU with register state (XCR0 bits {:#x}) that this one lacks: restore on "
        "a machine with the same or a newer CPU",
        missing);
  }
  BATON_TRY(const std::string digest, VdsoDigest());
  if (!record.vdso().empty() && record.vdso() != digest) {
    return MakeError(
        ErrorCode::kNotSupported,
        "the programs were saved under another kernel, whose vDSO differs from this one's; restoring across "
        "kernels is not supported yet");
  }
  return {};
}

}  // namespace baton
