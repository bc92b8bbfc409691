// The messages of a queue, through a descriptor of ours, and who else has it open.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "resource/mqueue/mqueue.pb.h"

namespace baton {

struct QueueState {
  uint64_t bytes = 0;  // in messages
  int notify = 0;      // SIGEV_*
  pid_t notified = 0;  // as we see it; 0: nobody
};

// "QSIZE:129 NOTIFY:2 SIGNO:0 NOTIFY_PID:8260", as read(2) on a queue gives it (mq_overview(7)). kCorrupt if it is not
// so.
Result<QueueState> ParseQueueState(std::string_view text);

// Another open file of the queue behind `fd`, for both directions, that never blocks. kNotSupported where we may not.
Result<UniqueFd> ReopenQueue(int fd);
Result<QueueState> ReadQueueState(int queue);

// All messages, which are in the queue again afterwards. REQUIRES: nobody is to be notified of the next one.
Result<pb::MqueueContent> LookIntoQueue(int queue);
Result<> EmptyQueue(int queue);
Result<> FillQueue(int queue, const pb::MqueueContent& content);

// Whether a process that we see has this queue open.
bool IsOpenAnywhere(uint64_t device, uint64_t inode);

}  // namespace baton
