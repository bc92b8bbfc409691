#include "engine/native/page_capture.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/fault.h"
#include "engine/native/memory_map.h"
#include "proc/process_files.h"

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kCopyBlock = size_t{8} << 20;
constexpr size_t kPart = size_t{1} << 20;  // stays in the processor's cache
constexpr size_t kPartsAhead = 4;

bool HasContentOfItsOwn(const pb::MappingRecord& mapping) {
  const bool special = mapping.backing() == pb::MappingRecord::VDSO || mapping.backing() == pb::MappingRecord::VVAR ||
                       mapping.backing() == pb::MappingRecord::VSYSCALL;
  return !special && !mapping.shared();
}

// Adds the pages from `start` on of which mincore(2) says that they are there.
void AddPresent(uint64_t start, std::span<const std::byte> present, std::vector<PageRange>& ranges) {
  for (const std::byte page : present) {
    const uint64_t end = start + kPage;
    if ((page & std::byte{1}) != std::byte{0}) {
      if (!ranges.empty() && ranges.back().end == start) {
        ranges.back().end = end;
      } else {
        ranges.push_back({start, end});
      }
    }
    start = end;
  }
}

// Pages of a shared object that exist, whoever touched them: mincore(2) asks the page cache itself. What is in swap it
// does not tell, so with swap in use all pages are taken.
Result<std::vector<PageRange>> ExistingPages(RemoteSyscalls& calls, const pb::MappingRecord& mapping) {
  const uint64_t end = mapping.start() + mapping.bytes();
  BATON_TRY(const bool swap, AnySwap());
  if (swap) return std::vector<PageRange>{{mapping.start(), end}};
  std::vector<PageRange> ranges;
  calls.ResetArguments();
  std::vector<std::byte> present(calls.argument_room() / 16 * 16);
  BATON_TRY(const RemotePtr<> at, calls.Reserve(present.size()));
  for (uint64_t start = mapping.start(); start < end;) {
    const uint64_t pages = std::min<uint64_t>(present.size(), (end - start) / kPage);
    BATON_CHECKED(calls.Do("mincore", SYS_mincore, start, pages * kPage, at));
    BATON_CHECKED(calls.memory().Read(at, std::span(present).first(pages)));
    AddPresent(start, std::span(present).first(pages), ranges);
    start += pages * kPage;
  }
  return ranges;
}

// The same for a mapping of our own.
Result<std::vector<PageRange>> ExistingOwnPages(PageRange mapped) {
  BATON_TRY(const bool swap, AnySwap());
  if (swap) return std::vector<PageRange>{mapped};
  std::vector<std::byte> present(mapped.bytes() / kPage);
  const int asked =
      mincore(reinterpret_cast<void*>(mapped.start), mapped.bytes(), reinterpret_cast<unsigned char*>(present.data()));
  if (const int error = errno; asked != 0) return ErrnoError(error, "mincore");
  std::vector<PageRange> ranges;
  AddPresent(mapped.start, present, ranges);
  return ranges;
}

uint64_t KibOf(const ProcStatus& status, std::string_view key) {
  const std::string* value = status.Find(key);
  return value == nullptr ? 0 : std::stoull(*value);
}

// process_vm_readv(2) is faster, but needs the right to read; and it pins the pages, for which the kernel copies those
// that are shared with a parent or child first (Linux 5.19, gup_must_unshare): four times the cost, and as much memory
// again. /proc/PID/mem does neither.
Result<> ReadPages(pid_t pid, uint64_t start, std::span<std::byte> into, bool by_pinning) {
  const RemotePtr<> from(start);
  if (by_pinning) {
    auto read = ReadRemote(pid, from, into);
    return read ? std::move(read) : read.Fail("pages at {:#x}", start);
  }
  BATON_TRY(const RemoteMemory memory, RemoteMemory::Open(pid));
  auto read = memory.Read(from, into);
  return read ? std::move(read) : read.Fail("pages at {:#x}", start);
}

}  // namespace

bool CopiedPages::WorthShadow(const ProcStatus& status) {
  constexpr uint64_t kEnoughKib = 8 << 10;  // about 2 ms of copying
  return KibOf(status, "RssAnon") + status.vm_swap_kb.value_or(0) >= kEnoughKib;
}

std::string ProcessSpace(int32_t pid) { return fmt::format("process:{}", pid); }
std::string ObjectSpace(uint64_t object) { return fmt::format("shared:{:x}", object); }

Result<> CopiedPages::Prepare(std::span<const pid_t> pids) {
  if (in_place_) return buffer_.Prepare(kPart * kPartsAhead);
  uint64_t kib = 0;
  for (const pid_t pid : pids) {
    const auto status = ReadStatus(pid);
    if (!status) continue;
    kib += KibOf(*status, "RssShmem");
    if (!WorthShadow(*status)) kib += KibOf(*status, "RssAnon") + status->vm_swap_kb.value_or(0);
  }
  return buffer_.Prepare(kib * 1024 + kib * 1024 / 64 + kCopyBlock + kPart * kPartsAhead);
}

Result<> CopiedPages::CopyProcess(const RemoteMemory& memory, RemoteSyscalls& calls, pb::ProcessRecord& process) {
  BATON_CHECKED(FailPoint("capture.pages"));
  BATON_TRY(const PageMap map, PageMap::Open(memory.pid()));
  const std::string space = ProcessSpace(process.pid());
  for (pb::MappingRecord& mapping : *process.mutable_mappings()) {
    if (HasContentOfItsOwn(mapping)) {
      BATON_CHECKED(CopyPrivate(memory, map, mapping, space));
    } else if (mapping.backing() == pb::MappingRecord::SHARED_MEMORY) {
      BATON_CHECKED(CopyShared(memory, calls, mapping));
    }
  }
  return {};
}

Result<> CopiedPages::CopyPrivate(const RemoteMemory& memory, const PageMap& map, pb::MappingRecord& mapping,
                                  const std::string& space) {
  if (mapping.deleted()) return CopyWhole(memory, mapping, space);
  // The kernel may drop it at any time, and those who use it count on that: it is where libraries keep the state of
  // random numbers, of which there must not be two.
  if (HasFlag(mapping, "dp")) return {};
  std::vector<PageRange> guards;
  BATON_TRY(const std::vector<PageRange> ranges,
            map.Scan(mapping.start(), mapping.start() + mapping.bytes(), PageMap::Want::kPrivate, &guards));
  for (const PageRange& guard : guards) {
    mapping.add_guards(guard.start);
    mapping.add_guards(guard.bytes());
  }
  const bool readable = (mapping.protection() & PROT_READ) != 0;
  if (const auto shadow = shadows_.find(memory.pid()); shadow != shadows_.end()) {
    BATON_TRY(const PageMap copy, PageMap::Open(shadow->second.pid()));
    BATON_TRY(const std::vector<PageRange> there,
              copy.Scan(mapping.start(), mapping.start() + mapping.bytes(), PageMap::Want::kPrivate));
    if (there == ranges) {  // otherwise it was not copied whole: MADV_DONTFORK, MADV_WIPEONFORK
      Defer(shadow->second.pid(), ranges, space);
      return {};
    }
  }
  for (const PageRange& range : ranges) BATON_CHECKED(Copy(memory, range, space, range.start, readable));
  return {};
}

void CopiedPages::Defer(pid_t shadow, const std::vector<PageRange>& ranges, const std::string& space) {
  for (const PageRange& range : ranges) {
    pieces_.push_back({space, range.start, {}, shadow, range, false});
    bytes_ += range.bytes();
  }
}

// A deleted file cannot be mapped again: all of it is content, up to the end of the file, which reading finds.
Result<> CopiedPages::CopyWhole(const RemoteMemory& memory, const pb::MappingRecord& mapping,
                                const std::string& space) {
  const uint64_t end = mapping.start() + mapping.bytes();
  for (uint64_t at = mapping.start(); at < end;) {
    BATON_TRY(const std::span<std::byte> room, buffer_.Take(std::min<uint64_t>(kCopyBlock, end - at)));
    BATON_TRY(const size_t got, memory.ReadPrefix(RemotePtr<>(at), room));
    const size_t whole = got / kPage * kPage;
    if (whole == 0) break;
    pieces_.push_back({space, at, room.first(whole)});
    bytes_ += whole;
    at += whole;
  }
  return {};
}

Result<> CopiedPages::CopyShared(const RemoteMemory& memory, RemoteSyscalls& calls, const pb::MappingRecord& mapping) {
  RangeSet& copied = copied_objects_[mapping.object()];
  BATON_TRY(const std::vector<PageRange> ranges, ExistingPages(calls, mapping));
  const bool readable = (mapping.protection() & PROT_READ) != 0;
  for (const PageRange& range : ranges) {
    const uint64_t shift = mapping.offset() - mapping.start();  // from addresses to offsets in the object
    for (const PageRange& fresh : copied.Add({range.start + shift, range.end + shift})) {
      const PageRange source{fresh.start - shift, fresh.end - shift};
      BATON_CHECKED(Copy(memory, source, ObjectSpace(mapping.object()), fresh.start, readable));
    }
  }
  return {};
}

Result<> CopiedPages::CopyOwn(PageRange mapped, bool all, const std::string& space) {
  BATON_TRY(const RemoteMemory memory, RemoteMemory::Open(getpid()));
  std::vector<PageRange> ranges{mapped};
  if (!all) {
    BATON_TRY(ranges, ExistingOwnPages(mapped));
  }
  for (const PageRange& range : ranges) {
    BATON_CHECKED(Copy(memory, range, space, range.start - mapped.start, true));
  }
  return {};
}

Result<> CopiedPages::Copy(const RemoteMemory& memory, PageRange range, const std::string& space, uint64_t address,
                           bool readable) {
  bytes_ += range.bytes();
  if (in_place_) {
    pieces_.push_back({space, address, {}, memory.pid(), range, readable});
    return {};
  }
  while (range.start < range.end) {
    const size_t size = std::min<uint64_t>(kCopyBlock, range.bytes());
    BATON_TRY(const std::span<std::byte> room, buffer_.Take(size));
    BATON_CHECKED(ReadPages(memory.pid(), range.start, room, readable));
    pieces_.push_back({space, address, room});
    range.start += size;
    address += size;
  }
  return {};
}

void CopiedPages::Forget() {
  shadows_.clear();
  buffer_.Clear();
  pieces_.clear();
  copied_objects_.clear();
  bytes_ = 0;
}

// All that is still in place, in parts that end where a piece does.
class CopiedPages::PlaceReader {
 public:
  explicit PlaceReader(std::span<const Piece> pieces) : pieces_(pieces) {}

  Result<size_t> operator()(std::span<std::byte> part) {
    while (!pieces_.empty() && done_ == pieces_.front().place.bytes()) {
      pieces_ = pieces_.subspan(1);
      done_ = 0;
    }
    if (pieces_.empty()) return size_t{0};
    const Piece& piece = pieces_.front();
    part = part.first(std::min<uint64_t>(part.size(), piece.place.bytes() - done_));
    BATON_CHECKED(ReadPages(piece.pid, piece.place.start + done_, part, piece.by_pinning));
    done_ += part.size();
    return part.size();
  }

 private:
  std::span<const Piece> pieces_;  // what was copied is an empty place
  uint64_t done_ = 0;              // bytes of the first
};

Result<> CopiedPages::Write(ImageWriter& writer) {
  std::optional<ReadAhead> ahead;
  for (const Piece& piece : pieces_) {
    if (piece.content.empty()) {
      if (!ahead) {
        BATON_TRY(const std::span<std::byte> room, buffer_.Take(kPart * kPartsAhead));
        ahead.emplace(room, kPart, PlaceReader(pieces_));
      }
      BATON_CHECKED(WriteFromPlace(writer, piece, *ahead));
    } else {
      BATON_CHECKED(writer.AddPages(piece.space, piece.address, piece.content));
      buffer_.Release(piece.content);
    }
  }
  shadows_.clear();  // the program pays for them with each page it writes to
  return {};
}

Result<> CopiedPages::WriteFromPlace(ImageWriter& writer, const Piece& piece, ReadAhead& ahead) {
  for (uint64_t done = 0; done < piece.place.bytes();) {
    BATON_TRY(const std::span<const std::byte> part, ahead.Next());
    BATON_CHECKED(writer.AddPages(piece.space, piece.address + done, part));
    done += part.size();
  }
  return {};
}

}  // namespace baton
