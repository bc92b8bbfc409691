// JobHooks: what is done around the checkpoints of one job, as its JobHooks say: commands in its capsule, and signals
// to its first process, which finds in its status file (job_port.h) what they are about:
//
//   saving    a checkpoint is about to be made; the program says "ready" when it may be
//   copied    its state is copied, it goes on
//   failed    no checkpoint; it goes on. Only after "saving"
//   resumed   it goes on from a checkpoint
//
// Thread-safety: any one thread at a time; what it needs of the keeper is copied, but for the port.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "keeper/job_port.h"
#include "keeper/run_record.pb.h"

namespace baton {

class JobHooks {
 public:
  // `port` is borrowed, and may be nullptr. `root_ns_pid`: the first process as the capsule sees it.
  JobHooks(const pb::RunRecord& record, const JobPort* port, pid_t root_ns_pid);

  // Command and signal before a checkpoint. With an error it must not be made. kUnavailable: one of them failed, took
  // too long, or the program does not handle the signal.
  Result<> Before(uint64_t checkpoint);
  // Whether After is owed.
  bool begun() const { return begun_; }
  // `word`: "copied" or "failed".
  Result<> After(std::string_view word, uint64_t checkpoint);
  // Everything is made again, and nothing runs yet.
  Result<> ResumeCommand(uint64_t checkpoint) const;
  Result<> ResumeSignal() const;
  bool has_resume_command() const { return !hooks_.resume().empty(); }
  std::chrono::milliseconds limit() const;

 private:
  Result<> Run(const std::string& name, const std::string& command, uint64_t checkpoint,
               std::string_view outcome) const;
  Result<> SendSignal() const;

  pb::JobHooks hooks_;
  std::vector<std::string> env_;
  std::string cwd_;
  const JobPort* port_;
  pid_t init_pid_;
  pid_t root_pid_;  // as we see it
  pid_t root_ns_pid_;
  uint32_t generation_;
  bool begun_ = false;
};

}  // namespace baton
