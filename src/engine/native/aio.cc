#include "engine/native/aio.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/fault.h"

namespace baton {
namespace {

// fs/aio.c, struct aio_ring; the events follow it.
struct RingHeader {
  uint32_t id;  // of the kernel's table
  uint32_t slots;
  uint32_t head;  // the next to be read; the program may move it
  uint32_t tail;
  uint32_t magic;
  uint32_t compatible;
  uint32_t incompatible;
  uint32_t header_bytes;
};
static_assert(sizeof(RingHeader) == 32 && sizeof(io_event) == 32);

constexpr uint32_t kMagic = 0xa10a10a1;
constexpr uint64_t kMostBytes = uint64_t{1} << 26;
constexpr uint32_t kBatch = 1000;  // requests
constexpr timespec kNap{0, 2'000'000};
constexpr int kQuietNaps = 10;
constexpr int kMostNaps = 1000;

bool IsAio(const pb::MappingRecord& mapping) { return mapping.backing() == pb::MappingRecord::AIO; }

RingHeader HeaderOf(const std::string& ring) {
  RingHeader header{};
  std::memcpy(&header, ring.data(), std::min(sizeof header, ring.size()));
  if (header.slots != 0) header.head %= header.slots;  // as the kernel takes it
  return header;
}

// Until no request has ended for a while.
Result<> AwaitQuiet(const RemoteSyscalls& calls, RemotePtr<RingHeader> at) {
  BATON_TRY(RingHeader last, calls.Get(at));
  for (int naps = 0, quiet = 0; quiet < kQuietNaps; ++naps) {
    if (naps == kMostNaps) {
      return MakeError(ErrorCode::kUnavailable, "process {}: asynchronous I/O keeps being done in a stopped process",
                       calls.pid());
    }
    nanosleep(&kNap, nullptr);
    BATON_TRY(const RingHeader now, calls.Get(at));
    quiet = now.tail == last.tail ? quiet + 1 : 0;
    last = now;
  }
  return {};
}

class ContextMaker {
 public:
  ContextMaker(RemoteSyscalls& calls, int64_t null) : calls_(calls), null_(null) {}

  Result<> Make(const pb::MappingRecord& mapping) {
    const RingHeader wanted = HeaderOf(mapping.ring());
    BATON_CHECKED(SetUp(mapping, wanted.slots));
    // Each request that is done moves the end on by one; those before the head are taken out again.
    for (uint32_t done = 0; done < wanted.head;) {
      BATON_TRY(const uint32_t more, Submit(std::min(kBatch, wanted.head - done)));
      BATON_CHECKED(TakeOut(more));
      done += more;
    }
    const uint32_t unread = (wanted.tail + wanted.slots - wanted.head) % wanted.slots;
    for (uint32_t done = 0; done < unread;) {
      BATON_TRY(const uint32_t more, Submit(std::min(kBatch, unread - done)));
      done += more;
    }
    const auto events = std::as_bytes(std::span(mapping.ring())).subspan(sizeof(RingHeader));
    return calls_.memory().Write(RemotePtr<>(mapping.start() + sizeof(RingHeader)), events);
  }

 private:
  // The ring takes whole pages: this many requests take as many as it had.
  Result<> SetUp(const pb::MappingRecord& mapping, uint32_t slots) {
    calls_.ResetArguments();
    BATON_TRY(const auto at, calls_.PutValue(uint64_t{0}));
    BATON_CHECKED(calls_.Do("io_setup", SYS_io_setup, (slots - 2) / 2, at));
    BATON_TRY(context_, calls_.Get(at));
    BATON_TRY(const RingHeader made, calls_.Get(RemotePtr<RingHeader>(context_)));
    if (made.slots != slots) {
      return MakeError(ErrorCode::kNotSupported,
                       "an I/O context has {} events on this machine, where it was saved it had {}", made.slots, slots);
    }
    BATON_CHECKED(calls_.Do("move an I/O context to its place", SYS_mremap, context_, mapping.bytes(), mapping.bytes(),
                            MREMAP_MAYMOVE | MREMAP_FIXED, mapping.start()));
    context_ = mapping.start();
    return {};
  }

  Result<uint32_t> Submit(uint32_t count) {
    calls_.ResetArguments();
    iocb request{};
    request.aio_lio_opcode = IOCB_CMD_PREAD;  // nothing from /dev/null: done at once
    request.aio_fildes = static_cast<uint32_t>(null_);
    BATON_TRY(const auto at, calls_.PutValue(request));
    const std::vector<uint64_t> list(count, at.value());
    BATON_TRY(const auto list_at, calls_.Put(std::as_bytes(std::span(list))));
    BATON_TRY(const int64_t taken, calls_.Do("io_submit", SYS_io_submit, context_, count, list_at));
    return static_cast<uint32_t>(taken);
  }

  Result<> TakeOut(uint32_t count) {
    calls_.ResetArguments();
    BATON_TRY(const auto room, calls_.Reserve(count * sizeof(io_event)));
    BATON_CHECKED(calls_.Do("io_getevents", SYS_io_getevents, context_, count, count, room, 0));
    return {};
  }

  RemoteSyscalls& calls_;
  int64_t null_;
  uint64_t context_ = 0;
};

// What a forked child has of its parent's: memory that no request changes any more.
Result<> MakeInherited(RemoteSyscalls& calls, const pb::MappingRecord& mapping) {
  calls.ResetArguments();
  BATON_CHECKED(calls.Do("mmap", SYS_mmap, mapping.start(), mapping.bytes(), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  return calls.memory().Write(RemotePtr<>(mapping.start()), std::as_bytes(std::span(mapping.ring())));
}

}  // namespace

Result<> CaptureAio(RemoteSyscalls& calls, pb::ProcessRecord& process) {
  for (pb::MappingRecord& mapping : *process.mutable_mappings()) {
    if (!IsAio(mapping)) continue;
    BATON_CHECKED(FailPoint("capture.aio"));
    calls.ResetArguments();
    BATON_TRY(const auto no_time, calls.PutValue(timespec{}));
    // Asking for no events changes nothing.
    BATON_TRY(const int64_t asked, calls.Call(SYS_io_getevents, mapping.start(), 0, 0, 0, no_time));
    mapping.set_ring_inherited(asked == -EINVAL);
    if (!mapping.ring_inherited()) BATON_CHECKED(AwaitQuiet(calls, RemotePtr<RingHeader>(mapping.start())));
    std::vector<std::byte> ring(mapping.bytes());
    BATON_CHECKED(calls.memory().Read(RemotePtr<>(mapping.start()), ring));
    mapping.set_ring(ring.data(), ring.size());
    if (auto sane = CheckAio(mapping); !sane) {
      return MakeError(ErrorCode::kNotSupported,
                       "process {}: the I/O context at {:#x} has been moved, cut or written over by the program",
                       process.pid(), mapping.start());
    }
  }
  return {};
}

Result<> CheckAio(const pb::MappingRecord& mapping) {
  const RingHeader header = HeaderOf(mapping.ring());
  bool sane = mapping.ring().size() == mapping.bytes() && mapping.bytes() <= kMostBytes && mapping.shared();
  if (!mapping.ring_inherited()) {
    sane = sane && header.magic == kMagic && header.slots > 2 && header.tail < header.slots &&
           header.slots <= (mapping.bytes() - sizeof(RingHeader)) / sizeof(io_event);
  }
  return sane ? Result<>{} : MakeError(ErrorCode::kCorrupt, "I/O context at {:#x}", mapping.start());
}

Result<> RestoreAio(RemoteSyscalls& calls, const pb::ProcessRecord& process) {
  if (std::ranges::none_of(process.mappings(), IsAio)) return {};
  BATON_CHECKED(FailPoint("restore.aio"));
  calls.ResetArguments();
  BATON_TRY(const auto path, calls.PutString("/dev/null"));
  BATON_TRY(const int64_t null, calls.Do("open /dev/null", SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
  for (const pb::MappingRecord& mapping : process.mappings()) {
    if (!IsAio(mapping)) continue;
    if (mapping.ring_inherited()) {
      BATON_CHECKED(MakeInherited(calls, mapping));
    } else {
      BATON_CHECKED(ContextMaker(calls, null).Make(mapping));
    }
  }
  BATON_CHECKED(calls.Do("close", SYS_close, null));
  return {};
}

}  // namespace baton
