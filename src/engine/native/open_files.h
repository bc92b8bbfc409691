// The open files (file descriptions) of a frozen unit: which descriptors share one, which kind claims each, and their
// records. Sources: kcmp(2) KCMP_FILE, pidfd_getfd(2), proc(5) fd and fdinfo.
//
// Thread-safety: the tracer's thread. Owns copies of the unit's descriptors until CloseCopies: while there are any,
// pipes that the unit closes stay open, and locks that it drops stay held.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "engine/engine.h"
#include "engine/native/native.pb.h"
#include "resource/kind.h"

namespace baton {

class OpenFiles : public CaptureContext {
 public:
  struct Process {
    pid_t host_pid = 0;
    pid_t living_tid = 0;  // LivingTask(host_pid)
    pid_t ns_pid = 0;
    bool zombie = false;  // has a number that others may refer to, and no descriptors
    bool thread = false;  // of a process that is there as well, with descriptors of its own; numbers are the thread's
  };
  // Content of AddContent: space name -> bytes, padded by nobody.
  using Contents = std::vector<std::pair<std::string, std::vector<std::byte>>>;

  explicit OpenFiles(bool reset_tcp_outside) : reset_tcp_outside_(reset_tcp_outside) {}
  // Looks at all descriptors of all processes; touches nothing.
  Result<> Gather(const std::vector<Process>& processes, const std::vector<ExternalFd>& externals);
  // One that is no descriptor: a working directory, an executable. After Gather; `fd` is ours. Its id.
  Result<uint32_t> Add(UniqueFd fd, pid_t host_pid);
  // Exactly one kind must claim each and find nothing against it.
  Result<> Check() const;
  // The records of all open files, in the order of Gather.
  Result<std::vector<pb::OpenFileRecord>> Capture();
  // The unit is about to be killed.
  void BeforeKill() const;
  // The descriptors of one process, or of such a thread.
  std::vector<pb::DescriptorRecord> DescriptorsOf(pid_t ns_pid) const;
  // REQUIRES: nothing is captured any more; before the unit goes on.
  void CloseCopies() { copies_.clear(); }
  // N + 1, if the controlling terminal of this process is /dev/pts/N, whose master is among these; else 0.
  uint32_t TerminalOf(pid_t host_pid) const;
  Contents TakeContents() { return std::move(contents_); }

  std::span<const FdFacts> files() const override { return files_; }
  const FdFacts* Find(pid_t host_pid, int fd) const override;
  const FdFacts* FindCopy(int own_fd) const override;
  std::optional<pid_t> NsPid(pid_t host_pid) const override;
  bool HasProcess(pid_t ns_pid) const override;
  bool HasContent(std::string_view space) const override;
  void AddContent(std::string space, std::vector<std::byte> bytes) override;
  bool ResetsTcpOutside() const override { return reset_tcp_outside_; }
  std::shared_ptr<const void>& Memo(uint32_t id) const override { return memos_[id]; }

 private:
  Result<> GatherProcess(const Process& process);
  Result<> GatherDescriptor(const Process& process, int pid_fd, int fd);
  Result<> GatherCarried();
  std::optional<size_t> IndexOf(const FdFacts& facts) const;
  size_t Remember(FdFacts facts, UniqueFd copy);
  void MatchExternals(const std::vector<ExternalFd>& externals);
  const ResourceKind* ClaimedBy(const FdFacts& file, std::string& trouble) const;

  std::vector<Process> processes_;
  std::vector<FdFacts> files_;
  std::vector<UniqueFd> copies_;
  std::multimap<std::string, size_t> by_identity_;         // inode and flags -> index in files_
  std::map<std::pair<pid_t, int>, size_t> by_descriptor_;  // (host pid, fd) -> index
  bool reset_tcp_outside_;
  std::map<uint32_t, std::string> external_names_;  // file id -> name
  Contents contents_;
  mutable std::map<uint32_t, std::shared_ptr<const void>> memos_;  // by file id
};

}  // namespace baton
