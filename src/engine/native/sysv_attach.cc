#include "engine/native/sysv_attach.h"

#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace baton {
namespace {

using Pieces = std::vector<const pb::MappingRecord*>;

// By segment and by the address at which all of it would begin.
std::map<std::pair<uint64_t, uint64_t>, Pieces> Attachments(const pb::ProcessRecord& process) {
  std::map<std::pair<uint64_t, uint64_t>, Pieces> attachments;
  for (const pb::MappingRecord& mapping : process.mappings()) {
    if (mapping.backing() != pb::MappingRecord::SYSV) continue;
    attachments[{mapping.object(), mapping.start() - mapping.offset()}].push_back(&mapping);
  }
  return attachments;
}

// Keeps the place free of what the kernel puts anywhere.
Result<> Reserve(RemoteSyscalls& calls, const Pieces& pieces) {
  for (const pb::MappingRecord* piece : pieces) {
    BATON_CHECKED(calls.Do("reserve a place", SYS_mmap, piece->start(), piece->bytes(), PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0));
  }
  return {};
}

Result<> Attach(RemoteSyscalls& calls, uint64_t id, const Pieces& pieces, uint64_t bytes) {
  const bool writable = std::ranges::any_of(pieces, [](const auto* piece) { return piece->maybe_writable(); });
  const bool code =
      std::ranges::any_of(pieces, [](const auto* piece) { return (piece->protection() & PROT_EXEC) != 0; });
  const int flags = (writable ? 0 : SHM_RDONLY) | (code ? SHM_EXEC : 0);
  BATON_TRY(const int64_t attached, calls.Do("shmat", SYS_shmat, id, 0, flags));
  for (const pb::MappingRecord* piece : pieces) {
    BATON_CHECKED(calls.Do("move shared memory to its place", SYS_mremap,
                           static_cast<uint64_t>(attached) + piece->offset(), piece->bytes(), piece->bytes(),
                           MREMAP_MAYMOVE | MREMAP_FIXED, piece->start()));
    BATON_CHECKED(calls.Do("protect shared memory", SYS_mprotect, piece->start(), piece->bytes(), piece->protection()));
  }
  BATON_CHECKED(calls.Do("munmap", SYS_munmap, attached, bytes));
  return {};
}

}  // namespace

Result<> AttachSysv(RemoteSyscalls& calls, const pb::ProcessRecord& process,
                    const std::map<uint64_t, uint64_t>& segment_bytes) {
  calls.ResetArguments();
  const auto attachments = Attachments(process);
  for (const auto& [where, pieces] : attachments) BATON_CHECKED(Reserve(calls, pieces));
  for (const auto& [where, pieces] : attachments) {
    if (auto attached = Attach(calls, where.first, pieces, segment_bytes.at(where.first)); !attached) {
      return attached.Fail("System V shared memory {}", where.first);
    }
  }
  return {};
}

}  // namespace baton
