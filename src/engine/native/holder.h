// The holder: a blank process inside the unit's namespaces in which open files are made, and from which every process
// fetches its descriptors (pidfd_getfd(2)). It is gone before the unit runs.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "engine/engine.h"
#include "engine/native/memory_restore.h"
#include "engine/native/process_maker.h"
#include "engine/native/unit_image.h"
#include "resource/kind.h"
#include "task/blank_task.h"

namespace baton {

class Holder : public RestoreContext {
 public:
  // A stub with a number that is not in `avoid`. `blanks`: the unit's processes; outlives the holder.
  static Result<std::unique_ptr<Holder>> Make(StubSpawner& spawner, const std::vector<pid_t>& avoid,
                                              const BootArea& boot, const UnitImage& image, BlankProcesses& blanks);
  // Where OnFailure leaves what it is given; nullptr: nowhere. Outlives the holder.
  void set_undos(std::vector<std::function<void()>>* undos) { undos_ = undos; }
  ~Holder() override;

  // Gives the holder a copy of one of our descriptors; its number there.
  Result<int> Pass(int fd);
  // Takes over the terminals that were made with their sessions, for their kind.
  Result<> FetchTerminals(const std::vector<SessionTerminal>& terminals);
  // Makes all open files of the image, in the order of their kinds. Externals: name -> descriptor of ours.
  Result<> MakeOpenFiles(const std::map<std::string, int>& externals);
  // The shared memory objects that mappings of the unit need, filled in. REQUIRES: MakeOpenFiles.
  Result<> MakeSharedMemory(const ImageReader& reader);
  Result<> PassSegments(const ImageReader& reader);

  const MemorySources& sources() const { return sources_; }
  pid_t ns_pid() const { return task_->ns_pid(); }
  // An external that is to be closed in the restored unit.
  static constexpr int kLeftOut = -1;
  // The descriptor in the holder of an open file's id, or kLeftOut. REQUIRES: MakeOpenFiles.
  int DescriptorOf(uint32_t open_file) const { return open_files_.at(open_file); }

  RemoteSyscalls& holder() override { return task_->calls(); }
  std::map<std::string, int>& shared() override { return shared_; }
  Result<std::vector<std::byte>> Content(std::string_view space) override;
  Result<UniqueFd> CopyFromHolder(int fd) override;
  std::string MapPath(const std::string& path) override { return path; }
  Result<int> Made(uint32_t id) override;
  void OnFailure(std::function<void()> undo) override {
    if (undos_ != nullptr) undos_->push_back(std::move(undo));
  }
  Result<RemoteSyscalls*> Process(pid_t ns_pid) override;
  Result<> WithShortLived(pid_t ns_pid, const std::function<Result<>(pid_t)>& visit) override;

 private:
  Holder(std::unique_ptr<BlankTask> task, UniqueFd pid_fd, const UnitImage& image, BlankProcesses& blanks)
      : task_(std::move(task)), pid_fd_(std::move(pid_fd)), image_(image), blanks_(blanks) {}
  Result<> OpenMailbox();
  Result<> MakeOpenFile(const pb::OpenFileRecord& file, const std::map<std::string, int>& externals);
  Result<> ConnectOpenFiles(const ResourceKind& kind);
  Result<int> MakeObject(const ImageReader& reader, uint64_t object, uint64_t bytes, uint64_t page_bytes);

  std::unique_ptr<BlankTask> task_;
  UniqueFd pid_fd_;
  const UnitImage& image_;
  BlankProcesses& blanks_;
  std::optional<UniqueFd> mailbox_;  // our end; the other is mailbox_fd_ in the holder
  int mailbox_fd_ = -1;
  std::map<std::string, int> shared_;
  std::map<uint32_t, int> open_files_;
  MemorySources sources_;
  std::vector<std::function<void()>>* undos_ = nullptr;
};

}  // namespace baton
