#include "engine/native/holder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/fault.h"
#include "base/file.h"
#include "engine/native/memory_map.h"
#include "engine/native/page_capture.h"
#include "engine/native/sysv_record.h"
#include "resource/common/pty.h"
#include "resource/common/remote_sockets.h"
#include "task/ptrace.h"

namespace baton {
namespace {

constexpr pid_t kHighestHelper = 32000;  // below the smallest usual pid_max, 32768
constexpr int kTries = 1000;

// msghdr with one byte and room for one descriptor, as it lies in the holder's memory.
struct Letter {
  char byte = 0;
  iovec io{};
  alignas(8) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
};

Result<> SendDescriptor(int socket, int fd) {
  Letter letter;
  letter.io = {&letter.byte, 1};
  letter.header.msg_iov = &letter.io;
  letter.header.msg_iovlen = 1;
  letter.header.msg_control = letter.control.data();
  letter.header.msg_controllen = letter.control.size();
  cmsghdr* control = CMSG_FIRSTHDR(&letter.header);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(control), &fd, sizeof fd);
  const ssize_t sent = sendmsg(socket, &letter.header, 0);
  if (const int error = errno; sent < 0) return ErrnoError(error, "pass a descriptor to the holder");
  return {};
}

Result<int> ReceiveInHolder(RemoteSyscalls& calls, int socket) {
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> area, calls.Reserve(sizeof(Letter)));
  Letter letter;
  const auto at = [&](size_t offset) { return reinterpret_cast<void*>((area + offset).value()); };
  letter.io = {at(offsetof(Letter, byte)), 1};
  letter.header.msg_iov = static_cast<iovec*>(at(offsetof(Letter, io)));
  letter.header.msg_iovlen = 1;
  letter.header.msg_control = at(offsetof(Letter, control));
  letter.header.msg_controllen = letter.control.size();
  BATON_CHECKED(calls.memory().Write(area, std::as_bytes(std::span(&letter, 1))));
  BATON_CHECKED(
      calls.Do("receive a descriptor", SYS_recvmsg, socket, (area + offsetof(Letter, header)), MSG_CMSG_CLOEXEC));
  BATON_TRY(letter, calls.Get(area.As<Letter>()));
  int fd = -1;
  std::memcpy(&fd, letter.control.data() + CMSG_LEN(0), sizeof fd);
  return fd;
}

// What the mappings of the unit need of each shared object.
struct SharedObject {
  uint64_t bytes = 0;
  uint64_t page_bytes = 0;
  std::string file_key;
};

std::map<uint64_t, SharedObject> SharedObjects(const UnitImage& image) {
  std::map<uint64_t, SharedObject> objects;
  for (const pb::ProcessRecord& process : image.processes) {
    for (const pb::MappingRecord& mapping : process.mappings()) {
      if (mapping.backing() != pb::MappingRecord::SHARED_MEMORY) continue;
      SharedObject& object = objects[mapping.object()];
      object.bytes = std::max(object.bytes, mapping.offset() + mapping.bytes());
      object.page_bytes = mapping.page_bytes();
      object.file_key = mapping.file_key();
    }
  }
  return objects;
}

// A shared mapping of ours. Huge pages cannot be written in any other way (write(2) on hugetlbfs fails).
class OwnMapping {
 public:
  static Result<OwnMapping> Of(int fd, uint64_t bytes) {
    void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (const int error = errno; start == MAP_FAILED) return ErrnoError(error, "map shared memory of {} bytes", bytes);
    return OwnMapping({static_cast<std::byte*>(start), bytes});
  }
  OwnMapping(OwnMapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  OwnMapping& operator=(OwnMapping&&) = delete;
  ~OwnMapping() {
    if (!bytes_.empty()) munmap(bytes_.data(), bytes_.size());
  }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit OwnMapping(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

}  // namespace

Result<std::unique_ptr<Holder>> Holder::Make(StubSpawner& spawner, const std::vector<pid_t>& avoid,
                                             const BootArea& boot, const UnitImage& image, BlankProcesses& blanks) {
  BATON_CHECKED(FailPoint("restore.holder"));
  pid_t number = kHighestHelper;
  for (int attempt = 0; attempt < kTries; ++attempt, --number) {
    if (std::ranges::find(avoid, number) != avoid.end()) continue;
    auto host_pid = spawner.SpawnStub(number);
    if (!host_pid && host_pid.error().code() == ErrorCode::kConflict) continue;
    if (!host_pid) return host_pid.Fail("holder of open files");
    BATON_TRY(std::unique_ptr<BlankTask> task, BlankTask::TakeStub(*host_pid, number, boot));
    const auto pid_fd = static_cast<int>(syscall(SYS_pidfd_open, *host_pid, 0));
    if (const int error = errno; pid_fd < 0) return ErrnoError(error, "pidfd of the holder");
    std::unique_ptr<Holder> holder(new Holder(std::move(task), UniqueFd(pid_fd), image, blanks));
    holder->sources_.holder_ns_pid = number;
    BATON_CHECKED(holder->holder().Do("close", SYS_close_range, 0, ~0U, 0));
    BATON_CHECKED(holder->OpenMailbox());
    return holder;
  }
  return MakeError(ErrorCode::kConflict, "no free process number for the holder of open files");
}

Holder::~Holder() {
  kill(task_->host_pid(), SIGKILL);
  while (true) {
    const auto status = WaitFor(task_->host_pid());
    if (!status || status->Gone()) return;
  }
}

Result<> Holder::OpenMailbox() {
  RemoteSyscalls& calls = holder();
  calls.ResetArguments();
  BATON_TRY(const auto at, calls.PutValue(std::array<int, 2>{}));
  BATON_CHECKED(calls.Do("socketpair", SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, at));
  BATON_TRY(const auto pair, calls.Get(at));
  BATON_TRY(UniqueFd ours, CopyFromHolder(pair[1]));
  mailbox_.emplace(std::move(ours));
  mailbox_fd_ = pair[0];
  BATON_CHECKED(calls.Do("close", SYS_close, pair[1]));
  return {};
}

Result<int> Holder::Pass(int fd) {
  BATON_CHECKED(SendDescriptor(mailbox_->get(), fd));
  return ReceiveInHolder(holder(), mailbox_fd_);
}

Result<> Holder::PassSegments(const ImageReader& reader) {
  for (size_t i = 0; i < reader.segment_count(); ++i) {
    BATON_TRY(const int fd, Pass(reader.SegmentFd(i)));
    sources_.segments.push_back(fd);
  }
  return {};
}

Result<> Holder::FetchTerminals(const std::vector<SessionTerminal>& terminals) {
  RemoteSockets calls(holder());
  for (const SessionTerminal& terminal : terminals) {
    const pid_t leader = blanks_.at(terminal.leader)->ns_pid();
    BATON_TRY(shared_[PtyKey(terminal.number, kPtyMaster)], calls.Fetch(leader, terminal.master));
    BATON_TRY(shared_[PtyKey(terminal.number, kPtySlave)], calls.Fetch(leader, terminal.slave));
  }
  return {};
}

Result<> Holder::MakeOpenFiles(const std::map<std::string, int>& externals) {
  BATON_CHECKED(FailPoint("restore.open_files"));
  for (const pb::OpenFileRecord& file : image_.files) {
    if (!file.external().empty()) BATON_CHECKED(MakeOpenFile(file, externals));
  }
  for (const auto& kind : AllKinds()) {
    for (const pb::OpenFileRecord& file : image_.files) {
      if (file.external().empty() && file.kind() == kind->Name()) BATON_CHECKED(MakeOpenFile(file, externals));
    }
  }
  for (const auto& kind : AllKinds()) BATON_CHECKED(ConnectOpenFiles(*kind));
  return {};
}

Result<> Holder::ConnectOpenFiles(const ResourceKind& kind) {
  std::vector<MadeFile> made;
  for (const pb::OpenFileRecord& file : image_.files) {
    if (!file.external().empty() || file.kind() != kind.Name()) continue;
    made.push_back({file.id(), file.payload(), open_files_.at(file.id())});
  }
  if (made.empty()) return {};
  holder().ResetArguments();
  auto connected = kind.Connect(made, *this);
  if (!connected) return connected.Fail("open files of kind {}", kind.Name());
  return {};
}

Result<> Holder::MakeOpenFile(const pb::OpenFileRecord& file, const std::map<std::string, int>& externals) {
  if (!file.external().empty()) {
    const auto external = externals.find(file.external());
    if (external == externals.end()) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "the image needs the outside descriptor {}: give it with --external", file.external());
    }
    open_files_[file.id()] = kLeftOut;
    if (external->second >= 0) {
      BATON_TRY(open_files_[file.id()], Pass(external->second));
    }
    return {};
  }
  BATON_CHECKED(FailPoint(fmt::format("restore.kind.{}", file.kind())));
  holder().ResetArguments();
  auto made = FindKind(file.kind())->Restore(file.payload(), file.id(), *this);
  if (!made) return made.Fail("open file {} ({})", file.id(), file.kind());
  open_files_[file.id()] = *made;
  return {};
}

Result<> Holder::MakeSharedMemory(const ImageReader& reader) {
  BATON_CHECKED(FailPoint("restore.shared_memory"));
  for (const auto& [id, object] : SharedObjects(image_)) {
    // A memfd or deleted file that is open as well was made, and filled, with its open files.
    const auto open = shared_.find(object.file_key);
    if (open != shared_.end()) {
      sources_.shared_objects[id] = open->second;
      continue;
    }
    BATON_TRY(sources_.shared_objects[id], MakeObject(reader, id, object.bytes, object.page_bytes));
  }
  for (const pb::SysvSegment& segment : image_.sysv.segments()) {
    sources_.sysv_bytes[static_cast<uint64_t>(segment.permissions().id())] = AttachedBytes(segment);
  }
  return {};
}

Result<int> Holder::MakeObject(const ImageReader& reader, uint64_t object, uint64_t bytes, uint64_t page_bytes) {
  RemoteSyscalls& calls = holder();
  calls.ResetArguments();
  BATON_TRY(const RemotePtr<> name, calls.PutString("baton-shared"));
  const uint64_t huge = page_bytes == 0 ? 0 : MFD_HUGETLB | HugePageFlag(page_bytes);
  BATON_TRY(const int64_t fd, calls.Do("memfd_create", SYS_memfd_create, name, MFD_CLOEXEC | huge));
  BATON_CHECKED(calls.Do("size shared memory", SYS_ftruncate, fd, bytes));
  BATON_TRY(const UniqueFd copy, CopyFromHolder(static_cast<int>(fd)));
  BATON_TRY(const OwnMapping memory, OwnMapping::Of(copy.get(), bytes));
  const std::string space = ObjectSpace(object);
  for (const Run& run : reader.Runs(space)) {
    if (run.address > bytes || run.bytes() > bytes - run.address)
      return MakeError(ErrorCode::kCorrupt, "shared memory {:x} is larger than its mappings", object);
    if (run.kind == RunKind::kZero) continue;
    BATON_CHECKED(reader.ReadPages(space, run.address, memory.bytes().subspan(run.address, run.bytes())));
  }
  return static_cast<int>(fd);
}

Result<std::vector<std::byte>> Holder::Content(std::string_view space) {
  const auto found = image_.contents.find(std::string(space));
  if (found == image_.contents.end()) return MakeError(ErrorCode::kNotFound, "content {}", space);
  const auto* bytes = reinterpret_cast<const std::byte*>(found->second.data());
  return std::vector<std::byte>(bytes, bytes + found->second.size());
}

Result<int> Holder::Made(uint32_t id) {
  const auto made = open_files_.find(id);
  if (made != open_files_.end() && made->second >= 0) return made->second;
  return MakeError(ErrorCode::kCorrupt, "open file {} is not there", id);
}

Result<RemoteSyscalls*> Holder::Process(pid_t ns_pid) {
  const auto blank = blanks_.find(ns_pid);
  if (blank == blanks_.end()) return MakeError(ErrorCode::kNotFound, "process {}", ns_pid);
  blank->second->calls().ResetArguments();
  return &blank->second->calls();
}

Result<> Holder::WithShortLived(pid_t ns_pid, const std::function<Result<>(pid_t)>& visit) {
  auto process = BlankTask::Fork(*task_, ns_pid);
  if (!process && process.error().code() == ErrorCode::kConflict) process = BlankTask::Fork(*task_, 0);
  if (!process) return process.Fail("a process in the place of {}, which has ended", ns_pid);
  holder().ResetArguments();
  auto visited = visit((*process)->ns_pid());
  BATON_CHECKED((*process)->Exit(0));
  BATON_CHECKED(holder().Do("wait4", SYS_wait4, (*process)->ns_pid(), 0, __WALL, 0));
  return visited;
}

Result<UniqueFd> Holder::CopyFromHolder(int fd) {
  const auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, pid_fd_.get(), fd, 0));
  if (const int error = errno; copy < 0) return ErrnoError(error, "copy descriptor {} of the holder", fd);
  return UniqueFd(copy);
}

}  // namespace baton
