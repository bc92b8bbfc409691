#include "engine/native/memory_map.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "base/fault.h"
#include "proc/process_files.h"
#include "resource/common/file_key.h"

namespace baton {
namespace {

using Record = pb::MappingRecord;

bool IsAnonymousShared(const MapsEntry& entry) {
  return entry.shared && (entry.path == "/dev/zero" || entry.path == "/anon_hugepage" ||
                          entry.path.starts_with("/memfd:") || entry.path.starts_with("[anon_shmem:"));
}

Error Unsupported(pid_t pid, const MapsEntry& entry, std::string_view what) {
  return MakeError(ErrorCode::kNotSupported, "process {}: mapping {:#x}-{:#x} of {} {}", pid, entry.start, entry.end,
                   entry.path.empty() ? "anonymous memory" : entry.path, what);
}

uint64_t ObjectId(const MapsEntry& entry) {
  return (uint64_t{entry.dev_major} << 56U) ^ (uint64_t{entry.dev_minor} << 44U) ^ entry.inode;
}

void DescribeSharedMemory(const MapsEntry& entry, Record& record) {
  record.set_backing(Record::SHARED_MEMORY);
  record.set_object(ObjectId(entry));
  record.set_offset(entry.offset);
  record.set_path(entry.path);
  record.set_file_key(FileKey(makedev(entry.dev_major, entry.dev_minor), entry.inode));
}

// A file mapping must find its file again: by path, being the same inode.
Result<> DescribeFile(pid_t pid, const MapsEntry& entry, Record& record) {
  record.set_backing(Record::FILE);
  record.set_path(entry.path);
  record.set_offset(entry.offset);
  record.set_object(ObjectId(entry));
  const auto status = StatBelowRoot(pid, entry.path);
  const bool there = status && status->st_ino == entry.inode;
  record.set_deleted(entry.deleted || !there);
  if (record.deleted() && entry.shared) {
    DescribeSharedMemory(entry, record);
    return {};
  }
  if (there) record.set_file_bytes(static_cast<uint64_t>(status->st_size));
  // A private mapping of /dev/zero is anonymous memory by another name.
  if (there && S_ISCHR(status->st_mode) && status->st_rdev != makedev(1, 5))
    return Unsupported(pid, entry, "is device memory, which cannot be saved");
  return {};
}

Result<> DescribeBacking(pid_t pid, const MapsEntry& entry, Record& record) {
  if (entry.path == "[vdso]") {
    record.set_backing(Record::VDSO);
  } else if (entry.path.starts_with("[vvar")) {
    record.set_backing(Record::VVAR);
  } else if (entry.path == "[vsyscall]") {
    record.set_backing(Record::VSYSCALL);
  } else if (IsAnonymousShared(entry)) {
    DescribeSharedMemory(entry, record);
  } else if (entry.path.starts_with("/SYSV")) {
    record.set_backing(Record::SYSV);
    record.set_object(entry.inode);  // newseg(): the number of the file is the id
    record.set_offset(entry.offset);
    record.set_path(entry.path);
  } else if (entry.path == "/[aio]") {
    record.set_backing(Record::AIO);
  } else if (entry.path.starts_with("anon_inode:") || entry.path == "[uprobes]") {
    return Unsupported(pid, entry, "cannot be saved (io_uring, perf or a probe)");
  } else if (entry.inode != 0) {
    return DescribeFile(pid, entry, record);
  } else {
    record.set_backing(Record::ANONYMOUS);
    if (entry.path.starts_with("[anon:")) record.set_name(entry.path.substr(6, entry.path.size() - 7));
  }
  return {};
}

Result<> DescribeFlags(pid_t pid, const MapsEntry& entry, const MappingFlags::Known& known, Record& record) {
  for (const std::string& flag : known.flags) record.add_vm_flags(flag);
  record.set_page_bytes(known.page_bytes);
  record.set_grows_down(HasFlag(record, "gd"));
  record.set_maybe_writable(HasFlag(record, "mw"));
  const bool of_the_kernel = record.backing() == Record::VVAR || record.backing() == Record::VDSO;
  if (!of_the_kernel && (HasFlag(record, "pf") || HasFlag(record, "io"))) {
    return Unsupported(pid, entry, "is device memory, which cannot be saved");
  }
  return {};
}

}  // namespace

Result<> MappingFlags::Read(pid_t pid) {
  BATON_TRY(std::vector<SmapsEntry> entries, ReadSmaps(pid));
  by_start_.clear();
  for (SmapsEntry& entry : entries) {
    const uint64_t page_bytes = entry.HasFlag("ht") ? entry.SizeKb("KernelPageSize") * 1024 : 0;
    by_start_[entry.mapping.start] = {entry.mapping, std::move(entry.vm_flags), page_bytes};
  }
  return {};
}

const MappingFlags::Known* MappingFlags::Find(const MapsEntry& entry) const {
  const auto found = by_start_.find(entry.start);
  if (found == by_start_.end()) return nullptr;
  const MapsEntry& known = found->second.entry;
  const bool same = known.end == entry.end && known.read == entry.read && known.write == entry.write &&
                    known.exec == entry.exec && known.shared == entry.shared && known.offset == entry.offset &&
                    known.inode == entry.inode;
  return same ? &found->second : nullptr;
}

bool HasFlag(const pb::MappingRecord& mapping, std::string_view flag) {
  return std::ranges::find(mapping.vm_flags(), flag) != mapping.vm_flags().end();
}

Result<std::vector<pb::MappingRecord>> DescribeMappings(pid_t pid, const std::vector<MapsEntry>& maps,
                                                        MappingFlags& flags) {
  BATON_CHECKED(FailPoint("capture.mappings"));
  const bool known = std::ranges::all_of(maps, [&](const MapsEntry& entry) { return flags.Find(entry) != nullptr; });
  if (!known) BATON_CHECKED(flags.Read(pid));
  std::vector<Record> records;
  for (const MapsEntry& entry : maps) {
    Record record;
    record.set_start(entry.start);
    record.set_bytes(entry.size());
    record.set_protection((entry.read ? PROT_READ : 0U) | (entry.write ? PROT_WRITE : 0U) |
                          (entry.exec ? PROT_EXEC : 0U));
    record.set_shared(entry.shared);
    BATON_CHECKED(DescribeBacking(pid, entry, record));
    if (const auto* found = flags.Find(entry); found != nullptr) {
      BATON_CHECKED(DescribeFlags(pid, entry, *found, record));
    }
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace baton
