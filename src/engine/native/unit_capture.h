// One capture of the native engine: see engine.h for the order of steps.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "engine/engine.h"
#include "engine/native/call_memory.h"
#include "engine/native/freeze.h"
#include "engine/native/hidden_processes.h"
#include "engine/native/memory_map.h"
#include "engine/native/native.pb.h"
#include "engine/native/open_files.h"
#include "engine/native/page_capture.h"
#include "engine/native/shared_tables.h"
#include "engine/native/sysv_capture.h"
#include "task/borrowed_task.h"

namespace baton {

class NativeCapture : public UnitCapture {
 public:
  // `memory` outlives this object and is kept from one capture of a unit to the next.
  NativeCapture(CaptureRequest request, CallMemory& memory)
      : request_(std::move(request)),
        call_memory_(memory),
        open_files_(request_.reset_tcp_outside),
        pages_(request_.ends_with_kill) {}

  Result<> Prepare() override;
  Result<> Stop() override;
  Result<> Capture() override;
  Result<> Resume() override;
  Result<> Kill() override;
  Result<> Write(ImageWriter& writer) override;
  CaptureStats stats() const override { return stats_; }
  std::vector<WrittenFile> written_files() const override { return written_files_; }

 private:
  Result<std::vector<pid_t>> ListProcesses() const;
  void ForgetAttempt();
  Result<> CaptureAll();
  Result<> CheckAll();
  Result<> CaptureOutside();
  Result<> CaptureInside();
  Result<> CaptureProcessInside(FrozenProcess& process, pb::ProcessRecord& record, bool first);
  void MakeShadow(BorrowedTask& leader, const Marker& marker, pid_t pid, const ProcStatus& status);
  Result<> CaptureInsideLeader(BorrowedTask& leader, pid_t pid, pb::ProcessRecord& record);
  Result<> AddRemovedFiles();
  Result<> AddRemovedFile(pid_t tid, const char* name, int flags, std::map<pid_t, uint32_t>& ids);
  Result<> CaptureTables(const FrozenProcess& process, pb::ProcessRecord& record);
  bool IsFirstWithMemory(const FrozenProcess& process) const;
  Result<> CheckCanBeMade() const;
  Result<> CaptureThreads(const FrozenProcess& process, pb::ProcessRecord& record);
  Result<> AddMessageQueues();
  Result<> FindSysv();
  Result<> CheckRelations();
  Result<> CheckOtherRoots(const std::set<pid_t>& inside);
  Result<> CheckDeathSignals() const;
  void NoteWrittenFiles();
  void FinishStats();

  CaptureRequest request_;
  CallMemory& call_memory_;
  std::map<pid_t, uint32_t> removed_cwds_;  // host tid -> open file
  std::map<pid_t, uint32_t> removed_exes_;
  std::optional<FrozenUnit> frozen_;
  SharedTables shared_;
  HiddenProcesses hidden_;               // not after frozen_ is gone
  std::map<pid_t, MappingFlags> flags_;  // by host pid
  std::optional<pid_t> of_other_user_;   // a process that is not ours
  OpenFiles open_files_;
  OpenFiles::Contents contents_;
  SysvCapture sysv_;  // what it has attached is read by pages_ up to Write
  CopiedPages pages_;
  pb::UnitRecord unit_;
  std::vector<pb::ProcessRecord> processes_;
  std::vector<pb::OpenFileRecord> file_records_;
  std::vector<WrittenFile> written_files_;
  CaptureStats stats_;
  std::chrono::steady_clock::time_point stopped_at_;
};

}  // namespace baton
