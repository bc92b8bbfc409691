#include "engine/native/unit_image.h"

#include <sys/user.h>

#include <algorithm>
#include <set>

#include "engine/native/aio.h"
#include "engine/native/record_names.h"
#include "engine/native/sysv_record.h"
#include "engine/native/table_owners.h"
#include "resource/kind.h"

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kUserSpaceEnd = 0x7ffffffff000;
constexpr uint64_t kLowestAddress = 0x10000;  // vm.mmap_min_addr
constexpr uint32_t kVersion = 1;

template <typename Message>
Result<Message> Parse(const Record& record, uint32_t newest = kVersion) {
  if (record.version < kVersion || record.version > newest) {
    return MakeError(ErrorCode::kNotSupported, "record {} has version {}; this Baton knows {}", record.kind,
                     record.version, newest);
  }
  Message message;
  if (!message.ParseFromString(record.payload))
    return MakeError(ErrorCode::kCorrupt, "record {} does not parse", record.kind);
  return message;
}

Result<> CheckMappings(const pb::ProcessRecord& process, const pb::SysvRecord& sysv) {
  uint64_t last_end = 0;
  for (const pb::MappingRecord& mapping : process.mappings()) {
    if (mapping.backing() == pb::MappingRecord::VSYSCALL) continue;
    const bool sane = mapping.start() % kPage == 0 && mapping.bytes() % kPage == 0 && mapping.bytes() > 0 &&
                      mapping.start() >= last_end && mapping.start() < kUserSpaceEnd &&
                      mapping.bytes() <= kUserSpaceEnd - mapping.start();
    if (!sane)
      return MakeError(ErrorCode::kCorrupt, "process {}: mapping at {:#x} of {} bytes", process.pid(), mapping.start(),
                       mapping.bytes());
    last_end = mapping.start() + mapping.bytes();
    if (mapping.backing() == pb::MappingRecord::AIO) BATON_CHECKED(CheckAio(mapping));
    if (mapping.backing() != pb::MappingRecord::SYSV) continue;
    if (auto attached = CheckAttached(sysv, mapping); !attached) return attached.Fail("process {}", process.pid());
  }
  return {};
}

// Only the first thread of several can have ended.
bool IsEndedLeader(const pb::ProcessRecord& process, const pb::ThreadRecord& thread) {
  return thread.exited() && thread.tid() == process.pid() && process.threads_size() > 1 && thread.pending().empty();
}

Result<> CheckThreads(const pb::ProcessRecord& process) {
  if (process.threads().empty() || process.threads(0).tid() != process.pid()) {
    return MakeError(ErrorCode::kCorrupt, "process {} has no leading thread", process.pid());
  }
  for (const pb::ThreadRecord& thread : process.threads()) {
    if (IsEndedLeader(process, thread)) continue;
    const bool sane = thread.tid() > 0 && !thread.exited() && thread.registers().size() == sizeof(user_regs_struct) &&
                      (!thread.has_interrupted() || thread.interrupted().arguments_size() == 6);
    if (!sane) return MakeError(ErrorCode::kCorrupt, "process {}: thread {}", process.pid(), thread.tid());
    for (const std::string& info : thread.pending()) {
      if (info.size() != sizeof(siginfo_t))
        return MakeError(ErrorCode::kCorrupt, "thread {}: pending signal", thread.tid());
    }
  }
  return {};
}

template <typename Task>
Result<> CheckFilesOf(pid_t number, const Task& task, const std::set<uint32_t>& files) {
  const uint32_t cwd = task.removed_cwd();
  if (cwd != 0 && !files.contains(cwd)) return MakeError(ErrorCode::kCorrupt, "task {}: file {}", number, cwd);
  for (const pb::DescriptorRecord& descriptor : task.descriptors()) {
    if (descriptor.fd() >= 0 && files.contains(descriptor.open_file())) continue;
    return MakeError(ErrorCode::kCorrupt, "task {}: descriptor {}", number, descriptor.fd());
  }
  return {};
}

Result<> CheckProcess(const pb::ProcessRecord& process, const pb::SysvRecord& sysv, const std::set<uint32_t>& files) {
  if (process.pid() <= 0) return MakeError(ErrorCode::kCorrupt, "process number {}", process.pid());
  if (process.zombie()) return {};
  BATON_CHECKED(CheckMappings(process, sysv));
  BATON_CHECKED(CheckThreads(process));
  for (const std::string& info : process.pending()) {
    if (info.size() != sizeof(siginfo_t))
      return MakeError(ErrorCode::kCorrupt, "process {}: pending signal", process.pid());
  }
  BATON_CHECKED(CheckFilesOf(process.pid(), process, files));
  for (const pb::ApartThreadRecord& thread : process.apart_threads()) {
    BATON_CHECKED(CheckFilesOf(thread.tid(), thread, files));
  }
  const uint32_t exe = process.removed_exe();
  if (exe == 0 || files.contains(exe)) return {};
  return MakeError(ErrorCode::kCorrupt, "process {}: file {}", process.pid(), exe);
}

Result<> CheckFiles(const UnitImage& image, std::set<uint32_t>& ids) {
  for (const pb::OpenFileRecord& file : image.files) {
    if (!ids.insert(file.id()).second) return MakeError(ErrorCode::kCorrupt, "two open files are called {}", file.id());
    if (!file.external().empty()) continue;
    const ResourceKind* kind = FindKind(file.kind());
    if (kind == nullptr)
      return MakeError(ErrorCode::kNotSupported, "open file {}: this Baton knows no kind {}", file.id(), file.kind());
    if (file.version() > kind->Version()) {
      return MakeError(ErrorCode::kNotSupported, "open file {}: kind {} version {} is newer than this Baton's {}",
                       file.id(), file.kind(), file.version(), kind->Version());
    }
    if (auto described = kind->Describe(file.payload()); !described) return described.Fail("open file {}", file.id());
  }
  return {};
}

Result<> CheckAll(const UnitImage& image) {
  std::set<uint32_t> files;
  BATON_CHECKED(CheckFiles(image, files));
  BATON_CHECKED(CheckSysv(image.sysv));
  std::set<pid_t> numbers;
  for (const pb::ProcessRecord& process : image.processes) {
    BATON_CHECKED(CheckProcess(process, image.sysv, files));
    std::vector<pid_t> own{process.pid()};
    for (const pb::ThreadRecord& thread : process.threads()) {
      if (thread.tid() != process.pid()) own.push_back(thread.tid());
    }
    for (const pid_t number : own) {
      if (!numbers.insert(number).second) return MakeError(ErrorCode::kCorrupt, "number {} is there twice", number);
    }
  }
  BATON_CHECKED(CheckTables(image.processes));
  const auto root = static_cast<pid_t>(image.unit.root_pid());
  if (!numbers.contains(root)) return MakeError(ErrorCode::kCorrupt, "the unit's first process {} is missing", root);
  return {};
}

}  // namespace

Result<UnitImage> LoadUnitImage(const ImageReader& reader) {
  UnitImage image;
  bool has_unit = false;
  for (const Record& record : reader.records()) {
    if (record.kind == kUnitRecord) {
      BATON_TRY(image.unit, Parse<pb::UnitRecord>(record));
      has_unit = true;
    } else if (record.kind == kProcessRecord) {
      BATON_TRY(pb::ProcessRecord process, Parse<pb::ProcessRecord>(record, kProcessVersion));
      image.processes.push_back(std::move(process));
    } else if (record.kind == kOpenFileRecord) {
      BATON_TRY(pb::OpenFileRecord file, Parse<pb::OpenFileRecord>(record));
      image.files.push_back(std::move(file));
    } else if (record.kind == kSysvRecord) {
      BATON_TRY(image.sysv, Parse<pb::SysvRecord>(record));
    } else if (record.kind.starts_with(kContentRecord)) {
      image.contents[record.kind.substr(kContentRecord.size())] = record.payload;
    } else {
      return MakeError(ErrorCode::kNotSupported, "this Baton knows no record {}", record.kind);
    }
  }
  NumberOldTables(image.processes);
  if (!has_unit) return MakeError(ErrorCode::kCorrupt, "the image has no unit record");
  BATON_CHECKED(CheckAll(image));
  return image;
}

Result<BootArea> ChooseBootArea(const UnitImage& image) {
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (const pb::ProcessRecord& process : image.processes) {
    for (const pb::MappingRecord& mapping : process.mappings()) {
      taken.emplace_back(mapping.start(), mapping.start() + mapping.bytes());
    }
  }
  std::ranges::sort(taken);
  // Low addresses: a stub, a position-independent program, has nothing there.
  uint64_t start = kLowestAddress;
  for (const auto& [begin, end] : taken) {
    if (begin >= start + BootArea::kBytes) break;
    start = std::max(start, end);
  }
  return BootArea{RemotePtr<>(start)};
}

std::vector<pid_t> NumbersInUse(const UnitImage& image) {
  std::set<pid_t> numbers;
  for (const pb::ProcessRecord& process : image.processes) {
    numbers.insert({process.pid(), process.pgid(), process.sid()});
    for (const pb::ThreadRecord& thread : process.threads()) numbers.insert(thread.tid());
  }
  return {numbers.begin(), numbers.end()};
}

}  // namespace baton
