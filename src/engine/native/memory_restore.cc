#include "engine/native/memory_restore.h"

#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/fault.h"
#include "engine/native/aio.h"
#include "engine/native/memory_map.h"
#include "engine/native/page_capture.h"
#include "engine/native/page_fill.h"
#include "engine/native/sysv_attach.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;
constexpr int kArchMapVdso64 = 0x2003;  // ARCH_MAP_VDSO_64 (CONFIG_CHECKPOINT_RESTORE)

using Mapping = pb::MappingRecord;

bool IsSpecial(const Mapping& mapping) {
  return mapping.backing() == Mapping::VDSO || mapping.backing() == Mapping::VVAR ||
         mapping.backing() == Mapping::VSYSCALL;
}

// Private memory that has pages to be put in needs write permission for a moment.
bool FilledIn(const Mapping& mapping) { return !IsSpecial(mapping) && !mapping.shared(); }

class MemoryBuilder {
 public:
  MemoryBuilder(BlankTask& task, const pb::ProcessRecord& process, const ImageReader& image,
                const MemorySources& sources)
      : task_(task), calls_(task.calls()), process_(process), image_(image), sources_(sources) {}

  Result<> Build() {
    BATON_CHECKED(FailPoint("restore.memory"));
    BATON_CHECKED(FetchSources());
    for (const Mapping& mapping : process_.mappings()) {
      if (auto mapped = Map(mapping); !mapped)
        return mapped.Fail("process {}: mapping {:#x}", process_.pid(), mapping.start());
    }
    BATON_CHECKED(AttachSysv(calls_, process_, sources_.sysv_bytes));
    BATON_CHECKED(RestoreAio(calls_, process_));
    BATON_CHECKED(MapVdso());
    BATON_CHECKED(FailPoint("restore.pages"));
    BATON_CHECKED(FillIn());
    BATON_CHECKED(Finish());
    calls_.ResetArguments();
    BATON_CHECKED(calls_.Do("close", SYS_close_range, 0, ~0U, 0));
    return {};
  }

 private:
  Result<> FetchSources() {
    BATON_TRY(const int64_t holder, calls_.Do("pidfd_open of the holder", SYS_pidfd_open, sources_.holder_ns_pid, 0));
    for (const int fd : sources_.segments) {
      BATON_TRY(const int64_t own, calls_.Do("fetch a page segment", SYS_pidfd_getfd, holder, fd, 0));
      segments_.push_back(own);
    }
    for (const auto& [object, fd] : sources_.shared_objects) {
      BATON_TRY(const int64_t own, calls_.Do("fetch shared memory", SYS_pidfd_getfd, holder, fd, 0));
      objects_[object] = own;
    }
    return {};
  }

  Result<> Map(const Mapping& mapping) {
    calls_.ResetArguments();
    switch (mapping.backing()) {
      case Mapping::VDSO:
      case Mapping::VVAR:
      case Mapping::VSYSCALL:
      case Mapping::SYSV:  // all together, later
      case Mapping::AIO:
        return {};
      case Mapping::FILE:
        return mapping.deleted() ? MapAnonymous(mapping) : MapFile(mapping);
      case Mapping::SHARED_MEMORY:
        return MapShared(mapping);
      default:
        return MapAnonymous(mapping);
    }
  }

  uint64_t FirstProtection(const Mapping& mapping) const {
    return FilledIn(mapping) ? mapping.protection() | PROT_READ | PROT_WRITE : mapping.protection();
  }

  Result<> MapAt(const Mapping& mapping, uint64_t protection, uint64_t flags, int64_t fd, uint64_t offset) {
    BATON_CHECKED(calls_.Do("mmap", SYS_mmap, mapping.start(), mapping.bytes(), protection, flags | MAP_FIXED_NOREPLACE,
                            fd, offset));
    return {};
  }

  Result<> MapAnonymous(const Mapping& mapping) {
    uint64_t flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (mapping.grows_down()) flags |= MAP_GROWSDOWN | MAP_STACK;
    if (HasFlag(mapping, "nr")) flags |= MAP_NORESERVE;
    if (mapping.page_bytes() != 0) flags |= MAP_HUGETLB | HugePageFlag(mapping.page_bytes());
    if (HasFlag(mapping, "dp")) flags = kMapDroppable | MAP_ANONYMOUS;
    return MapAt(mapping, FirstProtection(mapping), flags, -1, 0);
  }

  Result<> MapFile(const Mapping& mapping) {
    const int access = mapping.shared() && mapping.maybe_writable() ? O_RDWR : O_RDONLY;
    BATON_TRY(const RemotePtr<> path, calls_.PutString(mapping.path()));
    auto opened = calls_.Do("open " + mapping.path(), SYS_openat, AT_FDCWD, path, access | O_CLOEXEC, 0);
    if (!opened) return opened.Fail();
    BATON_CHECKED(CheckFile(mapping, *opened));
    const uint64_t flags = (mapping.shared() ? MAP_SHARED : MAP_PRIVATE) | (HasFlag(mapping, "nr") ? MAP_NORESERVE : 0);
    BATON_CHECKED(MapAt(mapping, FirstProtection(mapping), flags, *opened, mapping.offset()));
    BATON_CHECKED(calls_.Do("close", SYS_close, *opened));
    return {};
  }

  // A program or library that is another one now would be mixed up with the memory of the old one.
  Result<> CheckFile(const Mapping& mapping, int64_t fd) {
    const struct stat empty{};
    BATON_TRY(const auto at, calls_.PutValue(empty));
    BATON_CHECKED(calls_.Do("fstat " + mapping.path(), SYS_fstat, fd, at));
    BATON_TRY(const auto status, calls_.Get(at));
    const auto size = static_cast<uint64_t>(status.st_size);
    const bool code = (mapping.protection() & PROT_EXEC) != 0;
    const bool same = code ? size == mapping.file_bytes() : size >= mapping.file_bytes();
    if (same || !S_ISREG(status.st_mode)) return {};
    return MakeError(ErrorCode::kConflict,
                     "{} has {} bytes, at the checkpoint it had {}: it has been replaced; put the old one back",
                     mapping.path(), size, mapping.file_bytes());
  }

  Result<> MapShared(const Mapping& mapping) {
    const auto object = objects_.find(mapping.object());
    if (object == objects_.end())
      return MakeError(ErrorCode::kCorrupt, "shared memory {:#x} is missing", mapping.object());
    return MapAt(mapping, mapping.protection(), MAP_SHARED, object->second, mapping.offset());
  }

  // arch_prctl(ARCH_MAP_VDSO_64, address of the first [vvar] page) maps both, vvar and vdso, as at exec.
  Result<> MapVdso() {
    const auto first = std::ranges::find_if(process_.mappings(), [](const Mapping& mapping) {
      return mapping.backing() == Mapping::VVAR || mapping.backing() == Mapping::VDSO;
    });
    if (first == process_.mappings().end()) return {};
    BATON_CHECKED(calls_.Do("map the vDSO", SYS_arch_prctl, kArchMapVdso64, first->start()));
    return {};
  }

  Result<> FillIn() {
    PageFill fill(task_.host_pid(), SegmentFds());
    for (const Run& run : image_.Runs(ProcessSpace(process_.pid()))) {
      BATON_CHECKED(CheckInside(run));
      if (run.kind == RunKind::kZero) {
        BATON_CHECKED(ZeroOverFile(run));
        continue;
      }
      if (run.raw) {
        fill.Add(run.segment, run.file_offset, run.address, run.bytes());
      } else {
        BATON_CHECKED(Decompress(run));
      }
    }
    return fill.Run([this](std::span<const PageFill::Chunk> chunks) { return ReadInside(chunks); });
  }

  std::vector<int> SegmentFds() const {
    std::vector<int> fds;
    for (size_t i = 0; i < image_.segment_count(); ++i) fds.push_back(image_.SegmentFd(i));
    return fds;
  }

  Result<> ReadInside(std::span<const PageFill::Chunk> chunks) {
    std::vector<RemoteCall> reads;
    for (const PageFill::Chunk& chunk : chunks) {
      const auto segment = static_cast<uint64_t>(segments_.at(chunk.segment));
      reads.push_back({SYS_pread64, {segment, chunk.address, chunk.bytes, chunk.offset}});
    }
    return RunReads(reads);
  }

  // Runs come from the image: they must lie in private mappings of this process.
  Result<> CheckInside(const Run& run) const {
    uint64_t at = run.address;
    for (const Mapping& mapping : process_.mappings()) {
      if (mapping.start() > at || mapping.start() + mapping.bytes() <= at) continue;
      if (!FilledIn(mapping)) break;
      at = mapping.start() + mapping.bytes();
      if (at >= run.address + run.bytes()) return {};
    }
    return MakeError(ErrorCode::kCorrupt, "process {}: pages at {:#x} lie in no memory of its own", process_.pid(),
                     run.address);
  }

  // Fresh anonymous memory is zero; a page of a file that the program has cleared must be cleared again.
  Result<> ZeroOverFile(const Run& run) {
    static constexpr std::array<std::byte, kPage> kZeros{};
    for (const Mapping& mapping : process_.mappings()) {
      if (mapping.backing() != Mapping::FILE || mapping.deleted()) continue;
      const uint64_t start = std::max(run.address, mapping.start());
      const uint64_t end = std::min(run.address + run.bytes(), mapping.start() + mapping.bytes());
      for (uint64_t at = start; at < end; at += kPage) BATON_CHECKED(task_.memory().Write(RemotePtr<>(at), kZeros));
    }
    return {};
  }

  // pread may be short (a signal, a very long read): the rest is read again.
  Result<> RunReads(std::vector<RemoteCall>& reads) {
    while (!reads.empty()) {
      calls_.ResetArguments();
      BATON_CHECKED(calls_.Run(reads));
      std::vector<RemoteCall> rest;
      for (const RemoteCall& read : reads) {
        if (read.result <= 0) {
          return ErrnoError(read.result == 0 ? EIO : static_cast<int>(-read.result), "read pages at {:#x}",
                            read.arguments[1]);
        }
        const auto got = static_cast<uint64_t>(read.result);
        if (got == read.arguments[2]) continue;
        rest.push_back(
            {SYS_pread64,
             {read.arguments[0], read.arguments[1] + got, read.arguments[2] - got, read.arguments[3] + got}});
      }
      reads = std::move(rest);
    }
    return {};
  }

  Result<> Decompress(const Run& run) {
    constexpr uint64_t kBlock = uint64_t{1} << 20;
    std::vector<std::byte> block;
    for (uint64_t done = 0; done < run.bytes(); done += block.size()) {
      block.resize(std::min(kBlock, run.bytes() - done));
      BATON_CHECKED(image_.ReadPages(ProcessSpace(process_.pid()), run.address + done, block));
      BATON_CHECKED(task_.memory().Write(RemotePtr<>(run.address + done), block));
    }
    return {};
  }

  // Flags and final protection, once the content is there.
  Result<> Finish() {
    std::vector<RemoteCall> batch;
    calls_.ResetArguments();
    for (const Mapping& mapping : process_.mappings()) {
      if (IsSpecial(mapping)) continue;
      for (const auto& [flag, advice] : kAdvices) {
        if (HasFlag(mapping, flag))
          batch.push_back({SYS_madvise, {mapping.start(), mapping.bytes(), static_cast<uint64_t>(advice)}});
      }
      for (int i = 0; i + 1 < mapping.guards_size(); i += 2) {
        batch.push_back({SYS_madvise, {mapping.guards(i), mapping.guards(i + 1), kGuardInstall}});
      }
      if (FirstProtection(mapping) != mapping.protection()) {
        batch.push_back({SYS_mprotect, {mapping.start(), mapping.bytes(), mapping.protection()}});
      }
      const uint64_t on_fault = HasFlag(mapping, "lf") ? MLOCK_ONFAULT : 0;
      if (HasFlag(mapping, "lo")) batch.push_back({SYS_mlock2, {mapping.start(), mapping.bytes(), on_fault}});
    }
    BATON_CHECKED(calls_.Run(batch));
    for (const RemoteCall& call : batch) {
      // Advice is advice: a kernel without KSM or huge pages refuses some.
      const bool advice = call.number == SYS_madvise && call.arguments[2] != kGuardInstall;
      if (call.result >= 0 || advice) continue;
      return ErrnoError(static_cast<int>(-call.result), "{} at {:#x}",
                        call.number == SYS_mlock2 ? "lock memory" : "protect memory", call.arguments[0]);
    }
    return NameMappings();
  }

  Result<> NameMappings() {
    for (const Mapping& mapping : process_.mappings()) {
      if (mapping.name().empty()) continue;
      calls_.ResetArguments();
      BATON_TRY(const RemotePtr<> name, calls_.PutString(mapping.name()));
      // Needs CONFIG_ANON_VMA_NAME; only for people who read maps.
      BATON_CHECKED(calls_.Call(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, mapping.start(), mapping.bytes(), name));
    }
    return {};
  }

  static constexpr uint64_t kMapDroppable = 0x08;  // MAP_DROPPABLE, Linux 6.11
  static constexpr uint64_t kGuardInstall = 102;   // MADV_GUARD_INSTALL, newer than Debian 12's headers
  static constexpr std::pair<std::string_view, int> kAdvices[] = {
      {"dc", MADV_DONTFORK},   {"dd", MADV_DONTDUMP},  {"wf", MADV_WIPEONFORK}, {"hg", MADV_HUGEPAGE},
      {"nh", MADV_NOHUGEPAGE}, {"mg", MADV_MERGEABLE}, {"sr", MADV_SEQUENTIAL}, {"rr", MADV_RANDOM}};

  BlankTask& task_;
  RemoteSyscalls& calls_;
  const pb::ProcessRecord& process_;
  const ImageReader& image_;
  const MemorySources& sources_;
  std::vector<int64_t> segments_;
  std::map<uint64_t, int64_t> objects_;
};

}  // namespace

Result<> RestoreMemory(BlankTask& task, const pb::ProcessRecord& process, const ImageReader& image,
                       const MemorySources& sources) {
  return MemoryBuilder(task, process, image, sources).Build();
}

Result<> RestoreLayout(BlankTask& task, const pb::ProcessRecord& process) {
  RemoteSyscalls& calls = task.calls();
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> path, calls.PutString(process.exe()));
  BATON_TRY(const int64_t exe,
            calls.Do("open the executable " + process.exe(), SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0));
  return RestoreLayoutWith(task, process, static_cast<int>(exe));
}

Result<> RestoreLayoutWith(BlankTask& task, const pb::ProcessRecord& process, int exe) {
  BATON_CHECKED(FailPoint("restore.layout"));
  RemoteSyscalls& calls = task.calls();
  calls.ResetArguments();
  const pb::MemoryLayoutRecord& layout = process.layout();
  BATON_TRY(const RemotePtr<> auxv, calls.Put(std::as_bytes(std::span(layout.auxv()))));
  prctl_mm_map map{};
  map.start_code = layout.start_code();
  map.end_code = layout.end_code();
  map.start_data = layout.start_data();
  map.end_data = layout.end_data();
  map.start_brk = layout.start_brk();
  map.brk = layout.brk();
  map.start_stack = layout.start_stack();
  map.arg_start = layout.arg_start();
  map.arg_end = layout.arg_end();
  map.env_start = layout.env_start();
  map.env_end = layout.env_end();
  map.auxv = reinterpret_cast<__u64*>(auxv.value());
  map.auxv_size = static_cast<uint32_t>(layout.auxv().size());
  map.exe_fd = static_cast<uint32_t>(exe);
  BATON_TRY(const RemotePtr<prctl_mm_map> at, calls.PutValue(map));
  BATON_CHECKED(
      calls.Do("set the memory layout (PR_SET_MM_MAP)", SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, at, sizeof map, 0));
  BATON_CHECKED(calls.Do("close", SYS_close, exe));
  return {};
}

}  // namespace baton
