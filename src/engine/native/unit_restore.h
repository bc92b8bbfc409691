// One restore of the native engine: see engine.h for the order of steps.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/native/call_memory.h"
#include "engine/native/descriptor_restore.h"
#include "engine/native/holder.h"
#include "engine/native/process_maker.h"
#include "engine/native/sysv_restore.h"
#include "engine/native/table_owners.h"
#include "engine/native/unit_image.h"

namespace baton {

class NativeRestore : public UnitRestore, private ArmContext {
 public:
  // `memory` outlives this object.
  NativeRestore(RestoreRequest request, CallMemory& memory) : request_(std::move(request)), call_memory_(memory) {}
  ~NativeRestore() override;

  // Reads and checks the records; nothing is made.
  Result<> Load();
  Result<> Rebuild() override;
  Result<> Go() override;
  pid_t root_pid() const override;

 private:
  struct Member {
    const pb::ProcessRecord* record = nullptr;
    std::vector<std::unique_ptr<BlankTask>> threads;  // the leader first
  };

  Result<> RebuildMemory(Member& member);
  Result<> RebuildProcess(Member& member);
  Result<> RebuildTables(Member& member);
  Result<> RebuildApartThread(Member& member, const pb::ApartThreadRecord& record);
  BlankTask* Task(pid_t number);
  Result<> MakeThreads(const pb::ProcessRecord& record);
  Result<> ArmAll();
  Result<> EndZombies();
  Result<> FinishProcess(Member& member);
  Result<> TakeUpCall(BlankTask& thread, const pb::ThreadRecord& record, std::optional<int64_t>& result);
  Result<> RemoveBootArea(Member& member);
  Result<RemoteSyscalls*> Process(pid_t ns_pid) override;
  RemoteSyscalls& holder() override;
  std::vector<FdUser> UsersOf(uint32_t open_file) const;
  void KillAll();

  RestoreRequest request_;
  CallMemory& call_memory_;
  UnitImage image_;
  BootArea boot_;
  TableOwners owners_;
  std::map<pid_t, TaskFiles> files_;
  BlankProcesses blanks_;
  BlankThreads apart_;                        // threads that are not yet their members'
  std::vector<std::function<void()>> undos_;  // once nothing is left of the unit
  std::unique_ptr<Holder> holder_;
  std::unique_ptr<SysvRestore> sysv_;  // uses the holder
  std::map<pid_t, Member> members_;    // zombies included
  pid_t root_host_pid_ = 0;
  bool gone_ = false;
};

}  // namespace baton
