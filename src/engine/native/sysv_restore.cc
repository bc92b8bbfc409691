#include "engine/native/sysv_restore.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/fault.h"
#include "base/log.h"
#include "engine/native/memory_map.h"
#include "engine/native/sysv_record.h"

namespace baton {
namespace {

constexpr uint64_t kBlock = uint64_t{1} << 20;
constexpr long kNoteType = 0x7fffffffffffffff;  // of a message that is taken out again at once

constexpr std::array<std::string_view, 3> kWhat{"shared memory", "semaphores", "message queue"};
constexpr std::array<std::string_view, 3> kNextId{"/proc/sys/kernel/shm_next_id", "/proc/sys/kernel/sem_next_id",
                                                  "/proc/sys/kernel/msg_next_id"};

uint64_t Word(int value) { return static_cast<uint64_t>(static_cast<int64_t>(value)); }

// The next object of the sort gets this id, if it is free.
Result<> WantId(RemoteSyscalls& calls, size_t sort, int id) {
  calls.ResetArguments();
  const std::string text = std::to_string(id);
  BATON_TRY(const auto path, calls.PutString(kNextId.at(sort)));
  BATON_TRY(const auto value, calls.PutString(text));
  BATON_TRY(const int64_t fd,
            calls.Do(fmt::format("open {}", kNextId.at(sort)), SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC));
  BATON_CHECKED(calls.Do(fmt::format("write {}", kNextId.at(sort)), SYS_write, fd, value, text.size()));
  BATON_CHECKED(calls.Do("close", SYS_close, fd));
  return {};
}

Error Taken(size_t sort, const pb::SysvPermissions& permissions, std::string_view what) {
  return MakeError(ErrorCode::kConflict, "System V {} {} (key {:#x}): {}; remove it (ipcrm), or restore with --capsule",
                   kWhat.at(sort), permissions.id(), static_cast<unsigned>(permissions.key()), what);
}

}  // namespace

SysvRestore::~SysvRestore() {
  for (const Id& made : made_) {
    if (made.sort == Sort::kSegment) shmctl(made.id, IPC_RMID, nullptr);
    if (made.sort == Sort::kSemaphores) semctl(made.id, 0, IPC_RMID);
    if (made.sort == Sort::kQueue) msgctl(made.id, IPC_RMID, nullptr);
  }
}

Result<> SysvRestore::Make() {
  BATON_CHECKED(FailPoint("restore.sysv"));
  for (const pb::SysvSegment& segment : record_.segments()) BATON_CHECKED(MakeSegment(segment));
  for (const pb::SysvSemaphores& set : record_.semaphores()) {
    if (IsToBeMade(Sort::kSemaphores, set.permissions())) BATON_CHECKED(MakeSemaphores(set));
  }
  for (const pb::SysvQueue& queue : record_.queues()) {
    if (IsToBeMade(Sort::kQueue, queue.permissions())) BATON_CHECKED(MakeQueue(queue));
  }
  return FailPoint("restore.sysv_made");
}

// A process of the unit, or the holder.
RemoteSyscalls& SysvRestore::CallsOf(pid_t ns_pid) {
  if (ns_pid != 0) {
    if (auto found = context_.Process(ns_pid)) return **found;
  }
  context_.holder().ResetArguments();
  return context_.holder();
}

// In a shared namespace, where the unit's numbers are ours.
bool SysvRestore::IsOfUnit(pid_t host_pid) const { return host_pid == 0 || context_.Process(host_pid).has_value(); }

// What is only guessed to be the unit's may be somebody else's: it hinders nobody, and nothing is done to it.
bool SysvRestore::IsToBeMade(Sort sort, const pb::SysvPermissions& permissions) const {
  if (in_capsule_ || !permissions.guessed()) return true;
  const int id = permissions.id();
  const key_t key = permissions.key();
  if (sort == Sort::kQueue) {
    msqid_ds status{};
    return msgctl(id, IPC_STAT, &status) != 0 && (key == IPC_PRIVATE || msgget(key, 0) < 0);
  }
  return semctl(id, 0, GETNCNT) < 0 && (key == IPC_PRIVATE || semget(key, 0, 0) < 0);
}

// Who makes it is noted as its creator, by number and by effective ids. Only the first needs the process itself.
Result<int64_t> SysvRestore::MakeAs(RemoteSyscalls& calls, const Making& making) {
  BATON_TRY(const int64_t uid, calls.Do("geteuid", SYS_geteuid));
  BATON_TRY(const int64_t gid, calls.Do("getegid", SYS_getegid));
  // Where there is only one of each, others are not to be had.
  BATON_CHECKED(calls.Call(SYS_setresgid, -1, making.permissions.creator_gid(), -1));
  BATON_CHECKED(calls.Call(SYS_setresuid, -1, making.permissions.creator_uid(), -1));
  RemoteCall call = making.call;
  BATON_CHECKED(calls.RunOne(call));
  BATON_CHECKED(calls.Do("setresuid", SYS_setresuid, -1, uid, -1));
  BATON_CHECKED(calls.Do("setresgid", SYS_setresgid, -1, gid, -1));
  return call.result;
}

Result<> SysvRestore::MakeObject(const Making& making) {
  const auto sort = static_cast<size_t>(making.sort);
  const int id = making.permissions.id();
  BATON_CHECKED(WantId(context_.holder(), sort, id));
  BATON_TRY(const int64_t made, MakeAs(CallsOf(making.creator), making));
  if (made == -EEXIST) return Taken(sort, making.permissions, "another one has its key now");
  if (made < 0) return ErrnoError(static_cast<int>(-made), "make System V {} {}", kWhat.at(sort), id);
  if (!in_capsule_) made_.push_back({making.sort, static_cast<int>(made)});
  if (made != id) return Taken(sort, making.permissions, fmt::format("its place is taken (it would be {})", made));
  return {};
}

// ---- shared memory ----

Result<> SysvRestore::MakeSegment(const pb::SysvSegment& segment) {
  const pb::SysvPermissions& permissions = segment.permissions();
  bool in_use = false;
  BATON_TRY(const bool there, SegmentIsThere(segment, in_use));
  if (!there) {
    const uint64_t huge = segment.page_bytes() == 0 ? 0 : SHM_HUGETLB | HugePageFlag(segment.page_bytes());
    const RemoteCall get{SYS_shmget,
                         {Word(permissions.key()), segment.bytes(), IPC_CREAT | IPC_EXCL | permissions.mode() | huge}};
    BATON_CHECKED(MakeObject({Sort::kSegment, permissions, get, segment.creator_pid()}));
  }
  if (in_use) return {};
  if (auto filled = FillSegment(segment); !filled) return filled.Fail("System V shared memory {}", permissions.id());
  RemoteSyscalls& calls = CallsOf(0);
  shmid_ds status{};
  status.shm_perm.uid = permissions.uid();
  status.shm_perm.gid = permissions.gid();
  status.shm_perm.mode = static_cast<decltype(status.shm_perm.mode)>(permissions.mode());
  BATON_TRY(const auto at, calls.PutValue(status));
  BATON_CHECKED(calls.Do("owner of shared memory", SYS_shmctl, permissions.id(), IPC_SET, at));
  if (segment.locked()) BATON_CHECKED(calls.Do("lock shared memory", SYS_shmctl, permissions.id(), SHM_LOCK, 0));
  return {};
}

Result<bool> SysvRestore::SegmentIsThere(const pb::SysvSegment& segment, bool& in_use) {
  if (in_capsule_) return false;
  const pb::SysvPermissions& permissions = segment.permissions();
  shmid_ds status{};
  if (shmctl(permissions.id(), IPC_STAT, &status) != 0) return false;
  if (status.shm_perm.__key != permissions.key() || status.shm_segsz != segment.bytes()) {
    return Taken(static_cast<size_t>(Sort::kSegment), permissions, "it is another one now");
  }
  in_use = status.shm_nattch > 0;
  if (in_use) {
    BATON_LOG(kInfo, "System V shared memory {} is in use by others: its content is left as it is", permissions.id());
  }
  return true;
}

Result<> SysvRestore::FillSegment(const pb::SysvSegment& segment) {
  RemoteSyscalls& calls = CallsOf(0);
  const uint64_t bytes = AttachedBytes(segment);
  BATON_TRY(const int64_t start, calls.Do("attach shared memory", SYS_shmat, segment.permissions().id(), 0, 0));
  // What it has been given since: of a new one nothing.
  if (!in_capsule_) BATON_CHECKED(calls.Call(SYS_madvise, start, bytes, MADV_REMOVE));
  const std::string space = SegmentSpace(segment.permissions().id());
  std::vector<std::byte> block;
  for (const Run& run : image_.Runs(space)) {
    if (run.address > bytes || run.bytes() > bytes - run.address) {
      return MakeError(ErrorCode::kCorrupt, "pages at {:#x} lie behind its end", run.address);
    }
    if (run.kind == RunKind::kZero) continue;
    for (uint64_t done = 0; done < run.bytes(); done += block.size()) {
      block.resize(std::min(kBlock, run.bytes() - done));
      BATON_CHECKED(image_.ReadPages(space, run.address + done, block));
      const RemotePtr<> at(static_cast<uint64_t>(start) + run.address + done);
      BATON_CHECKED(calls.memory().Write(at, block));
    }
  }
  BATON_CHECKED(calls.Do("detach shared memory", SYS_shmdt, start));
  return {};
}

Result<> SysvRestore::MarkRemoved() {
  for (const pb::SysvSegment& segment : record_.segments()) {
    if (!segment.removed()) continue;
    BATON_CHECKED(CallsOf(0).Do("remove shared memory", SYS_shmctl, segment.permissions().id(), IPC_RMID, 0));
  }
  return {};
}

// ---- semaphores ----

Result<> SysvRestore::MakeSemaphores(const pb::SysvSemaphores& set) {
  const pb::SysvPermissions& permissions = set.permissions();
  semid_ds status{};
  union {
    semid_ds* buffer;
  } argument{&status};
  const bool there = !in_capsule_ && semctl(permissions.id(), 0, IPC_STAT, argument) == 0;
  if (there) {
    if (status.sem_perm.__key != permissions.key() || status.sem_nsems != static_cast<size_t>(set.values_size())) {
      return Taken(static_cast<size_t>(Sort::kSemaphores), permissions, "it is another one now");
    }
    for (int i = 0; i < set.values_size(); ++i) {
      if (!IsOfUnit(semctl(permissions.id(), i, GETPID))) return {};  // others use it
    }
  } else {
    const RemoteCall get{
        SYS_semget,
        {Word(permissions.key()), static_cast<uint64_t>(set.values_size()), IPC_CREAT | IPC_EXCL | permissions.mode()}};
    BATON_CHECKED(MakeObject({Sort::kSemaphores, permissions, get}));
  }
  if (auto put = PutValues(set); !put) return put.Fail("System V semaphores {}", permissions.id());
  RemoteSyscalls& calls = CallsOf(0);
  status.sem_perm.uid = permissions.uid();
  status.sem_perm.gid = permissions.gid();
  status.sem_perm.mode = static_cast<decltype(status.sem_perm.mode)>(permissions.mode());
  BATON_TRY(const auto at, calls.PutValue(status));
  BATON_CHECKED(calls.Do("owner of semaphores", SYS_semctl, permissions.id(), 0, IPC_SET, at));
  return {};
}

// Each is set by the process that changed it last, if that is still there. A value that differs from the checkpoint's
// after the unit was killed was undone at its death (SEM_UNDO): the same is done again so that it will be undone again.
Result<> SysvRestore::PutValues(const pb::SysvSemaphores& set) {
  const int id = set.permissions().id();
  const bool undone = record_.killed() && !in_capsule_;
  for (int i = 0; i < set.values_size(); ++i) {
    const int value = static_cast<int>(set.values(i));
    const pid_t pid = set.pids(i);
    RemoteSyscalls& calls = CallsOf(pid);
    if (undone && pid != 0) {
      BATON_TRY(const int64_t now, calls.Do("semaphore", SYS_semctl, id, i, GETVAL));
      if (now != value) {
        BATON_TRY(const auto change, calls.PutValue(sembuf{static_cast<unsigned short>(i),
                                                           static_cast<short>(value - now), SEM_UNDO | IPC_NOWAIT}));
        BATON_TRY(const int64_t again, calls.Call(SYS_semop, id, change, 1));
        if (again == 0) continue;
      }
    }
    if (pid == 0 && value == 0) continue;
    BATON_CHECKED(calls.Do("value of a semaphore", SYS_semctl, id, i, SETVAL, value));
  }
  return {};
}

// ---- message queues ----

Result<> SysvRestore::MakeQueue(const pb::SysvQueue& queue) {
  const pb::SysvPermissions& permissions = queue.permissions();
  msqid_ds status{};
  const bool there = !in_capsule_ && msgctl(permissions.id(), IPC_STAT, &status) == 0;
  if (there) {
    if (status.msg_perm.__key != permissions.key()) {
      return Taken(static_cast<size_t>(Sort::kQueue), permissions, "it is another one now");
    }
    if (!IsOfUnit(status.msg_lspid) || !IsOfUnit(status.msg_lrpid)) return {};  // others use it
    BATON_CHECKED(EmptyQueue(permissions.id()));
  } else {
    const RemoteCall get{SYS_msgget, {Word(permissions.key()), IPC_CREAT | IPC_EXCL | permissions.mode()}};
    BATON_CHECKED(MakeObject({Sort::kQueue, permissions, get}));
    BATON_TRY(const auto at, CallsOf(0).PutValue(status));
    BATON_CHECKED(context_.holder().Do("look at a message queue", SYS_msgctl, permissions.id(), IPC_STAT, at));
    BATON_TRY(status, context_.holder().Get(at));
  }
  // Room for all that is in it, and only then the limit it had.
  BATON_CHECKED(SetQueue(queue, std::max<uint64_t>(queue.most_bytes(), status.msg_qbytes)));
  if (auto filled = FillQueue(queue); !filled) return filled.Fail("System V message queue {}", permissions.id());
  return SetQueue(queue, queue.most_bytes());
}

Result<> SysvRestore::SetQueue(const pb::SysvQueue& queue, uint64_t most_bytes) {
  RemoteSyscalls& calls = CallsOf(0);
  const pb::SysvPermissions& permissions = queue.permissions();
  msqid_ds status{};
  status.msg_perm.uid = permissions.uid();
  status.msg_perm.gid = permissions.gid();
  status.msg_perm.mode = static_cast<decltype(status.msg_perm.mode)>(permissions.mode());
  status.msg_qbytes = most_bytes;
  BATON_TRY(const auto at, calls.PutValue(status));
  BATON_CHECKED(calls.Do("owner and size of a message queue", SYS_msgctl, permissions.id(), IPC_SET, at));
  return {};
}

Result<> SysvRestore::EmptyQueue(int id) {
  std::vector<long> room((size_t{1} << 16) / sizeof(long));
  while (msgrcv(id, room.data(), 0, 0, IPC_NOWAIT | MSG_NOERROR) >= 0) continue;
  const int error = errno;
  return error == ENOMSG ? Result<>{} : ErrnoError(error, "empty System V message queue {}", id);
}

Result<> SysvRestore::FillQueue(const pb::SysvQueue& queue) {
  const int id = queue.permissions().id();
  BATON_CHECKED(NoteLastUsers(queue));
  for (const pb::SysvMessage& message : queue.messages()) {
    // The last one by who sent last: mostly that very one.
    const bool last = &message == &*queue.messages().rbegin();
    RemoteSyscalls& calls = CallsOf(last ? queue.last_sender() : 0);
    std::vector<std::byte> bytes(sizeof(int64_t) + message.content().size());
    const int64_t type = message.type();
    std::ranges::copy(std::as_bytes(std::span(&type, 1)), bytes.begin());
    std::ranges::copy(std::as_bytes(std::span(message.content())), bytes.begin() + sizeof type);
    BATON_TRY(const auto at, calls.Put(bytes));
    BATON_CHECKED(calls.Do("send a message", SYS_msgsnd, id, at, message.content().size(), IPC_NOWAIT));
  }
  return {};
}

// The numbers of the last sender and receiver come from a message that one sends to the other.
Result<> SysvRestore::NoteLastUsers(const pb::SysvQueue& queue) {
  if (queue.last_sender() == 0 && queue.last_receiver() == 0) return {};
  const int id = queue.permissions().id();
  RemoteSyscalls& sender = CallsOf(queue.last_sender());
  BATON_TRY(const auto note, sender.PutValue(kNoteType));
  BATON_CHECKED(sender.Do("send a message", SYS_msgsnd, id, note, 0, IPC_NOWAIT));
  RemoteSyscalls& receiver = CallsOf(queue.last_receiver());
  BATON_TRY(const auto room, receiver.PutValue(kNoteType));
  BATON_CHECKED(receiver.Do("receive a message", SYS_msgrcv, id, room, 0, kNoteType, IPC_NOWAIT));
  return {};
}

}  // namespace baton
