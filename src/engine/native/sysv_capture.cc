#include "engine/native/sysv_capture.h"

#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fault.h"
#include "base/unique_fd.h"
#include "engine/native/sysv_record.h"
#include "proc/namespace_visit.h"
#include "proc/process_files.h"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#define SEM_STAT_ANY 20
#define MSG_STAT_ANY 13
#endif

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;

union SemaphoreArgument {
  int value;
  semid_ds* status;
  unsigned short* values;
  seminfo* limits;
};

pid_t OwnNumber(const SysvScope& scope, pid_t host_pid) {
  const auto found = scope.numbers.find(host_pid);
  return found == scope.numbers.end() ? 0 : found->second;
}

void Describe(int id, const ipc_perm& from, pb::SysvPermissions* out) {
  constexpr uint32_t kAccess = 0777;
  out->set_id(id);
  out->set_key(from.__key);
  out->set_uid(from.uid);
  out->set_gid(from.gid);
  out->set_creator_uid(from.cuid);
  out->set_creator_gid(from.cgid);
  out->set_mode(from.mode & kAccess);
}

// Nobody has used it, but it is of this user and has come since the unit has.
bool MayBeOfUnit(const SysvScope& scope, const ipc_perm& owner, time_t made) {
  const auto stat = ReadStat(scope.root_pid);
  const auto status = ReadStatus(scope.root_pid);
  if (!stat || !status || status->uid[1] != owner.cuid) return false;
  timespec since_boot{};
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const auto age = since_boot.tv_sec - static_cast<time_t>(stat->starttime) / sysconf(_SC_CLK_TCK);
  return made + 1 >= time(nullptr) - age;
}

// SHM_HUGETLB shows in nothing but the file system that the pages are of.
Result<bool> IsOfUsualPages(uint64_t start) {
  const int made = memfd_create("baton-usual", MFD_CLOEXEC);
  if (const int error = errno; made < 0) return ErrnoError(error, "memfd");
  const UniqueFd usual(made);
  struct stat status{};
  const int seen = fstat(usual.get(), &status);
  if (const int error = errno; seen != 0) return ErrnoError(error, "fstat");
  BATON_TRY(const std::vector<MapsEntry> maps, ReadMaps(getpid()));
  const auto entry = std::ranges::find(maps, start, &MapsEntry::start);
  return entry != maps.end() && makedev(entry->dev_major, entry->dev_minor) == status.st_dev;
}

// One after the other, by MSG_COPY, which takes none away.
Result<> PeekMessages(int id, uint64_t count, pb::SysvQueue& queue) {
  msginfo limits{};
  msgctl(0, IPC_INFO, reinterpret_cast<msqid_ds*>(&limits));
  const size_t room = static_cast<size_t>(std::max(limits.msgmax, 1));
  std::vector<long> buffer(room / sizeof(long) + 2);
  for (uint64_t i = 0; i < count; ++i) {
    const ssize_t got = msgrcv(id, buffer.data(), room, static_cast<long>(i), MSG_COPY | IPC_NOWAIT);
    const int error = errno;
    if (got < 0) {
      return Error(ErrorCode::kNotSupported, error,
                   fmt::format("message {} of System V message queue {} cannot be read", i, id));
    }
    pb::SysvMessage* message = queue.add_messages();
    message->set_type(buffer.front());
    message->set_content(buffer.data() + 1, static_cast<size_t>(got));
  }
  return {};
}

// All ids of a sort: `info` gives the highest index, `stat` the id at an index.
template <typename Visit>
Result<> ForEachIndex(int highest, Visit visit) {
  for (int index = 0; index <= highest; ++index) BATON_CHECKED(visit(index));
  return {};
}

}  // namespace

AttachedSegment::~AttachedSegment() {
  if (start_ != nullptr) shmdt(start_);
}

Result<> SysvCapture::Find(const SysvScope& scope) {
  BATON_CHECKED(FailPoint("capture.sysv"));
  record_.set_own_namespace(!ShareNamespace(scope.root_pid, getpid(), "ipc"));
  return InIpcNamespaceOf(scope.root_pid, [&] { return FindAll(scope); });
}

Result<> SysvCapture::FindAll(const SysvScope& scope) {
  BATON_CHECKED(FindSegments(scope));
  BATON_CHECKED(FindSemaphores(scope));
  BATON_CHECKED(FindQueues(scope));
  for (const auto& [id, page_bytes] : scope.attached) {
    if (segments_.contains(id)) continue;
    return MakeError(ErrorCode::kNotSupported,
                     "System V shared memory {} is attached, but of another IPC namespace than the first process of "
                     "the unit; that cannot be saved yet",
                     id);
  }
  return {};
}

Result<> SysvCapture::FindSegments(const SysvScope& scope) {
  shm_info info{};
  const int highest = shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info));
  return ForEachIndex(highest, [&](int index) -> Result<> {
    shmid_ds status{};
    const int id = shmctl(index, SHM_STAT_ANY, &status);
    if (id < 0) return {};
    const bool ours = record_.own_namespace() || scope.attached.contains(id) ||
                      OwnNumber(scope, status.shm_cpid) != 0 || OwnNumber(scope, status.shm_lpid) != 0;
    return ours ? AddSegment(scope, id, status) : Result<>{};
  });
}

Result<> SysvCapture::AddSegment(const SysvScope& scope, int id, const shmid_ds& status) {
  const auto attached = scope.attached.find(id);
  const uint64_t page_bytes = attached == scope.attached.end() ? 0 : attached->second;
  void* start = shmat(id, nullptr, SHM_RDONLY);
  if (const int error = errno; reinterpret_cast<intptr_t>(start) == -1) {
    return Error(ErrorCode::kNotSupported, error,
                 fmt::format("System V shared memory {} (key {:#x}, mode {:o}) cannot be read", id,
                             status.shm_perm.__key, status.shm_perm.mode));
  }
  const uint64_t unit = page_bytes == 0 ? kPage : page_bytes;
  const AttachedSegment& held =
      segments_.try_emplace(id, start, (status.shm_segsz + unit - 1) / unit * unit, page_bytes != 0).first->second;
  const bool known = attached != scope.attached.end();
  BATON_TRY(const bool usual, known ? Result<bool>(true) : IsOfUsualPages(held.start()));
  if (!usual) {
    return MakeError(ErrorCode::kNotSupported,
                     "System V shared memory {} has huge pages, and no process has it attached: remove it, or keep it "
                     "attached",
                     id);
  }
  pb::SysvSegment* segment = record_.add_segments();
  Describe(id, status.shm_perm, segment->mutable_permissions());
  segment->set_bytes(status.shm_segsz);
  segment->set_creator_pid(OwnNumber(scope, status.shm_cpid));
  segment->set_removed((status.shm_perm.mode & SHM_DEST) != 0);
  segment->set_locked((status.shm_perm.mode & SHM_LOCKED) != 0);
  segment->set_page_bytes(page_bytes);
  return {};
}

Result<> SysvCapture::FindSemaphores(const SysvScope& scope) {
  seminfo info{};
  const int highest = semctl(0, 0, SEM_INFO, SemaphoreArgument{.limits = &info});
  return ForEachIndex(highest, [&](int index) -> Result<> {
    semid_ds status{};
    const int id = semctl(index, 0, SEM_STAT_ANY, SemaphoreArgument{.status = &status});
    if (id < 0) return {};
    pb::SysvSemaphores set;
    bool used = false;
    bool ours = record_.own_namespace();
    std::vector<unsigned short> values(status.sem_nsems);
    const int got = semctl(id, 0, GETALL, SemaphoreArgument{.values = values.data()});
    if (const int error = errno; got != 0) {
      if (!ours) return {};  // what the unit uses we can read
      return ErrnoError(error, "read System V semaphores {}", id);
    }
    for (size_t i = 0; i < values.size(); ++i) {
      const pid_t last = semctl(id, static_cast<int>(i), GETPID);
      set.add_values(values[i]);
      set.add_pids(OwnNumber(scope, last));
      used = used || last > 0;
      ours = ours || OwnNumber(scope, last) != 0;
    }
    const bool fresh = !ours && !used && MayBeOfUnit(scope, status.sem_perm, status.sem_ctime);
    if (!ours && !fresh) return {};
    Describe(id, status.sem_perm, set.mutable_permissions());
    set.mutable_permissions()->set_guessed(fresh);
    *record_.add_semaphores() = std::move(set);
    return {};
  });
}

Result<> SysvCapture::FindQueues(const SysvScope& scope) {
  msginfo info{};
  const int highest = msgctl(0, MSG_INFO, reinterpret_cast<msqid_ds*>(&info));
  return ForEachIndex(highest, [&](int index) -> Result<> {
    msqid_ds status{};
    const int id = msgctl(index, MSG_STAT_ANY, &status);
    if (id < 0) return {};
    pb::SysvQueue queue;
    queue.set_last_sender(OwnNumber(scope, status.msg_lspid));
    queue.set_last_receiver(OwnNumber(scope, status.msg_lrpid));
    const bool ours = record_.own_namespace() || queue.last_sender() != 0 || queue.last_receiver() != 0;
    const bool fresh = !ours && status.msg_lspid == 0 && status.msg_lrpid == 0 &&
                       MayBeOfUnit(scope, status.msg_perm, status.msg_ctime);
    if (!ours && !fresh) return {};
    Describe(id, status.msg_perm, queue.mutable_permissions());
    queue.mutable_permissions()->set_guessed(fresh);
    queue.set_most_bytes(status.msg_qbytes);
    BATON_CHECKED(PeekMessages(id, status.msg_qnum, queue));
    *record_.add_queues() = std::move(queue);
    return {};
  });
}

Result<> SysvCapture::CopySegments(CopiedPages& pages) const {
  for (const auto& [id, segment] : segments_) {
    BATON_CHECKED(
        pages.CopyOwn({segment.start(), segment.start() + segment.bytes()}, segment.huge(), SegmentSpace(id)));
  }
  return {};
}

void SysvCapture::Forget() {
  record_.Clear();
  segments_.clear();
}

bool SysvCapture::empty() const {
  return record_.segments().empty() && record_.semaphores().empty() && record_.queues().empty();
}

}  // namespace baton
