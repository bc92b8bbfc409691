// Makes the System V objects of an image, before its processes get their memory.
//
// In a new namespace each is made with its id and content. In a shared one (the unit is restored where it was) an
// object with that id may still be there: one that only the unit has used since gets its content of the checkpoint
// back, one that others use is left as it is.
//
// Thread-safety: the tracer's thread. Errors: kConflict if an id or key is another object's now.
#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

#include "base/result.h"
#include "engine/native/sysv.pb.h"
#include "image/reader.h"
#include "resource/kind.h"
#include "task/blank_task.h"

namespace baton {

class SysvRestore {
 public:
  // `context`: calls in the holder and in the unit's blank processes. All outlive this object.
  SysvRestore(const pb::SysvRecord& record, const ImageReader& image, RestoreContext& context, bool in_capsule)
      : record_(record), image_(image), context_(context), in_capsule_(in_capsule) {}
  SysvRestore(const SysvRestore&) = delete;
  SysvRestore& operator=(const SysvRestore&) = delete;
  // Removes what it has made in a shared namespace, unless Keep was called.
  ~SysvRestore();

  // REQUIRES: all processes are blank and alive.
  Result<> Make();
  // What ends with its last process is marked so. REQUIRES: all processes have attached theirs.
  Result<> MarkRemoved();
  void Keep() { made_.clear(); }

 private:
  enum class Sort { kSegment, kSemaphores, kQueue };
  struct Id {
    Sort sort;
    int id;
  };
  // What a call that makes an object needs.
  struct Making {
    Sort sort;
    const pb::SysvPermissions& permissions;
    RemoteCall call;
    pid_t creator = 0;
  };

  Result<> MakeSegment(const pb::SysvSegment& segment);
  Result<bool> SegmentIsThere(const pb::SysvSegment& segment, bool& in_use);
  Result<> FillSegment(const pb::SysvSegment& segment);
  Result<> MakeSemaphores(const pb::SysvSemaphores& set);
  Result<> PutValues(const pb::SysvSemaphores& set);
  Result<> MakeQueue(const pb::SysvQueue& queue);
  Result<> FillQueue(const pb::SysvQueue& queue);
  Result<> EmptyQueue(int id);
  Result<> NoteLastUsers(const pb::SysvQueue& queue);
  Result<> SetQueue(const pb::SysvQueue& queue, uint64_t most_bytes);
  Result<> MakeObject(const Making& making);
  Result<int64_t> MakeAs(RemoteSyscalls& calls, const Making& making);
  RemoteSyscalls& CallsOf(pid_t ns_pid);
  bool IsOfUnit(pid_t host_pid) const;
  bool IsToBeMade(Sort sort, const pb::SysvPermissions& permissions) const;

  const pb::SysvRecord& record_;
  const ImageReader& image_;
  RestoreContext& context_;
  bool in_capsule_;
  std::vector<Id> made_;  // in a shared namespace
};

}  // namespace baton
