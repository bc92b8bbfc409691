#include "engine/native/open_files.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/fault.h"
#include "base/file.h"
#include "proc/process_files.h"
#include "resource/common/facts.h"
#include "resource/common/pty.h"

namespace baton {
namespace {

Result<UniqueFd> CopyDescriptor(int pid_fd, int fd) {
  const auto copy = static_cast<int>(syscall(SYS_pidfd_getfd, pid_fd, fd, 0));
  if (const int error = errno; copy < 0) return ErrnoError(error, "copy descriptor {}", fd);
  return UniqueFd(copy);
}

// Two descriptors of ours.
bool SameFile(int a, int b) { return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0; }

std::string Identity(const FdFacts& file) {
  return fmt::format("{}|{}|{:o}", file.status.st_dev, file.status.st_ino,
                     file.info.flags & ~static_cast<unsigned>(O_CLOEXEC));
}

// "process 12 (python3), descriptor 5 (anon_inode:[io_uring], mode 600, fs 0x...)"
std::string NameOf(const FdFacts& file) {
  const auto comm = ReadComm(file.host_pid);
  const std::string number = file.fd < 0 ? "open without a descriptor" : fmt::format("descriptor {}", file.fd);
  return fmt::format("process {} ({}), {} ({}, mode {:o}, file system {:#x})", file.host_pid, comm ? *comm : "?",
                     number, file.link, file.status.st_mode, file.fs_magic);
}

// The kernel gives /proc/PID/fd of a process that is not dumpable to root (proc(5)), even where we may trace it.
Error ExplainNoList(Error error, pid_t pid) {
  if (error.saved_errno() != EACCES) return error;
  const auto comm = ReadComm(pid);
  return {
      ErrorCode::kNotSupported, EACCES,
      fmt::format(
          "process {} ({}) is not dumpable, so that only root may see its descriptors: run Baton as root, or "
          "let the program keep PR_SET_DUMPABLE at 1 (it becomes 0 by running a file that one may not read, or that "
          "has the setuid bit of another user)",
          pid, comm ? *comm : "?")};
}

bool IsSame(const ExternalFd& external, const FdFacts& file) { return SameFile(external.fd, file.copy); }

bool IsOfSamePipe(const ExternalFd& external, const FdFacts& file) {
  struct stat status{};
  return file.IsFifo() && fstat(external.fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
         status.st_ino == file.status.st_ino && status.st_dev == file.status.st_dev;
}

}  // namespace

Result<> OpenFiles::Gather(const std::vector<Process>& processes, const std::vector<ExternalFd>& externals) {
  BATON_CHECKED(FailPoint("capture.open_files"));
  processes_ = processes;
  for (const Process& process : processes) {
    if (!process.zombie) BATON_CHECKED(GatherProcess(process));
  }
  BATON_CHECKED(GatherCarried());
  MatchExternals(externals);
  return {};
}

Result<> OpenFiles::GatherProcess(const Process& process) {
  const auto fds = ListFds(process.living_tid);
  if (!fds) return std::unexpected(ExplainNoList(fds.error(), process.host_pid));
  BATON_TRY(const UniqueFd pid_fd, OpenPidFd(process.living_tid));
  for (const int fd : *fds) {
    if (auto gathered = GatherDescriptor(process, pid_fd.get(), fd); !gathered) {
      return gathered.Fail("process {}, descriptor {}", process.host_pid, fd);
    }
  }
  return {};
}

Result<> OpenFiles::GatherDescriptor(const Process& process, int pid_fd, int fd) {
  BATON_TRY(UniqueFd copy, CopyDescriptor(pid_fd, fd));
  BATON_TRY(FdFacts facts, GatherFacts(process.living_tid, fd, copy.get()));
  const bool close_on_exec = (facts.info.flags & O_CLOEXEC) != 0;
  const std::optional<size_t> known = IndexOf(facts);
  const size_t index = known ? *known : Remember(std::move(facts), std::move(copy));
  files_[index].users.push_back({process.ns_pid, fd, close_on_exec, process.living_tid});
  by_descriptor_[{process.living_tid, fd}] = index;
  return {};
}

Result<uint32_t> OpenFiles::Add(UniqueFd fd, pid_t host_pid) {
  BATON_TRY(FdFacts facts, GatherFacts(getpid(), fd.get(), fd.get()));
  facts.host_pid = host_pid;
  facts.fd = -1;
  return static_cast<uint32_t>(Remember(std::move(facts), std::move(fd)) + 1);
}

// Also what is carried by the carried.
Result<> OpenFiles::GatherCarried() {
  for (size_t i = 0; i < files_.size(); ++i) {
    std::string trouble;
    const ResourceKind* kind = ClaimedBy(files_[i], trouble);
    if (kind == nullptr) continue;
    auto carried = kind->Carried(files_[i], *this);
    if (!carried) return carried.Fail("{}", NameOf(files_[i]));
    for (UniqueFd& copy : *carried) {
      BATON_TRY(FdFacts facts, GatherFacts(getpid(), copy.get(), copy.get()));
      if (IndexOf(facts)) continue;
      facts.host_pid = files_[i].host_pid;
      facts.fd = -1;
      Remember(std::move(facts), std::move(copy));
    }
  }
  return {};
}

std::optional<size_t> OpenFiles::IndexOf(const FdFacts& facts) const {
  const auto [begin, end] = by_identity_.equal_range(Identity(facts));
  const auto same =
      std::find_if(begin, end, [&](const auto& entry) { return SameFile(files_[entry.second].copy, facts.copy); });
  return same == end ? std::nullopt : std::optional(same->second);
}

size_t OpenFiles::Remember(FdFacts facts, UniqueFd copy) {
  const size_t index = files_.size();
  facts.id = static_cast<uint32_t>(index + 1);
  by_identity_.emplace(Identity(facts), index);
  files_.push_back(std::move(facts));
  copies_.push_back(std::move(copy));
  return index;
}

void OpenFiles::MatchExternals(const std::vector<ExternalFd>& externals) {
  // The very same open file is meant before another one of the same pipe: stdout and stderr may be one pipe.
  const auto find = [&externals](bool (*fits)(const ExternalFd&, const FdFacts&), const FdFacts& file) {
    return std::ranges::find_if(externals, [&](const ExternalFd& external) { return fits(external, file); });
  };
  for (const FdFacts& file : files_) {
    auto match = find(IsSame, file);
    if (match == externals.end()) match = find(IsOfSamePipe, file);
    if (match != externals.end()) external_names_[file.id] = match->name;
  }
}

const ResourceKind* OpenFiles::ClaimedBy(const FdFacts& file, std::string& trouble) const {
  const ResourceKind* claimant = nullptr;
  for (const auto& kind : AllKinds()) {
    if (!kind->Claims(file)) continue;
    if (claimant != nullptr) {
      trouble = fmt::format("is claimed by two kinds, {} and {}", claimant->Name(), kind->Name());
      return nullptr;
    }
    claimant = kind.get();
  }
  if (claimant == nullptr)
    trouble = "is of a kind that cannot be saved; close it, or end that part of the program first";
  return claimant;
}

Result<> OpenFiles::Check() const {
  BATON_CHECKED(FailPoint("capture.check_open_files"));
  for (const FdFacts& file : files_) {
    if (external_names_.contains(file.id)) continue;
    std::string trouble;
    const ResourceKind* kind = ClaimedBy(file, trouble);
    if (kind == nullptr) return MakeError(ErrorCode::kNotSupported, "{} {}", NameOf(file), trouble);
    if (auto checked = kind->Check(file, *this); !checked) return checked.Fail("{}", NameOf(file));
  }
  return {};
}

Result<std::vector<pb::OpenFileRecord>> OpenFiles::Capture() {
  std::vector<pb::OpenFileRecord> records;
  for (const FdFacts& file : files_) {
    pb::OpenFileRecord record;
    record.set_id(file.id);
    if (const auto external = external_names_.find(file.id); external != external_names_.end()) {
      record.set_external(external->second);
    } else {
      std::string trouble;
      const ResourceKind* kind = ClaimedBy(file, trouble);
      if (kind == nullptr) return MakeError(ErrorCode::kNotSupported, "{} {}", NameOf(file), trouble);
      BATON_CHECKED(FailPoint(fmt::format("capture.kind.{}", kind->Name())));
      auto payload = kind->Capture(file, *this);
      if (!payload) return payload.Fail("{}", NameOf(file));
      record.set_kind(std::string(kind->Name()));
      record.set_version(kind->Version());
      record.set_payload(*payload);
    }
    records.push_back(std::move(record));
  }
  return records;
}

void OpenFiles::BeforeKill() const {
  for (const FdFacts& file : files_) {
    std::string trouble;
    const ResourceKind* kind = external_names_.contains(file.id) ? nullptr : ClaimedBy(file, trouble);
    if (kind != nullptr) kind->BeforeKill(file);
  }
}

std::vector<pb::DescriptorRecord> OpenFiles::DescriptorsOf(pid_t ns_pid) const {
  std::vector<pb::DescriptorRecord> records;
  for (const FdFacts& file : files_) {
    for (const FdUser& user : file.users) {
      if (user.ns_pid != ns_pid) continue;
      pb::DescriptorRecord record;
      record.set_fd(user.fd);
      record.set_close_on_exec(user.close_on_exec);
      record.set_open_file(file.id);
      records.push_back(record);
    }
  }
  std::ranges::sort(records, {}, [](const pb::DescriptorRecord& record) { return record.fd(); });
  return records;
}

uint32_t OpenFiles::TerminalOf(pid_t host_pid) const {
  const auto stat = ReadStat(host_pid);
  const auto number = stat ? SlaveNumberOf(static_cast<uint32_t>(stat->tty_nr)) : std::nullopt;
  const bool inside = number && std::ranges::any_of(files_, [&](const FdFacts& file) {
                        return file.IsCharDevice() && MasterNumber(file.copy) == number;
                      });
  return inside ? *number + 1 : 0;
}

const FdFacts* OpenFiles::Find(pid_t host_pid, int fd) const {
  const auto found = by_descriptor_.find({host_pid, fd});
  return found == by_descriptor_.end() ? nullptr : &files_[found->second];
}

const FdFacts* OpenFiles::FindCopy(int own_fd) const {
  const auto facts = GatherFacts(getpid(), own_fd, own_fd);
  if (!facts) return nullptr;
  const std::optional<size_t> index = IndexOf(*facts);
  return index ? &files_[*index] : nullptr;
}

std::optional<pid_t> OpenFiles::NsPid(pid_t host_pid) const {
  const auto found = std::ranges::find_if(
      processes_, [host_pid](const Process& process) { return !process.thread && process.host_pid == host_pid; });
  if (found == processes_.end()) return std::nullopt;
  return found->ns_pid;
}

bool OpenFiles::HasProcess(pid_t ns_pid) const {
  return std::ranges::any_of(processes_,
                             [ns_pid](const Process& process) { return !process.thread && process.ns_pid == ns_pid; });
}

bool OpenFiles::HasContent(std::string_view space) const {
  return std::ranges::find(contents_, space, &Contents::value_type::first) != contents_.end();
}

void OpenFiles::AddContent(std::string space, std::vector<std::byte> bytes) {
  contents_.emplace_back(std::move(space), std::move(bytes));
}

}  // namespace baton
