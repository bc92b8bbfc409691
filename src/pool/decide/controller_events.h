// What happens to a controller, and what it then wants done (controller.h).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "pool/decide/controller_state.h"
#include "pool/decide/messages.h"

namespace baton::pool {

// Events. `request` is whoever waits for the Answer.
struct ControllerTick {};
struct ReportCame {
  uint64_t request = 0;
  WorkerReport report;
};
struct SubmitAsked {
  uint64_t request = 0;
  Job job;  // name, needs, retry and spec
};
struct CancelAsked {
  uint64_t request = 0;
  uint64_t job = 0;
};
struct CheckpointAsked {
  uint64_t request = 0;
  uint64_t job = 0;
};
struct MoveAsked {
  uint64_t request = 0;
  uint64_t job = 0;
  std::string to;  // empty: anywhere else
};
struct DrainAsked {
  uint64_t request = 0;
  std::string worker;
  bool drain = true;  // false: take jobs again
};
using ControllerEvent =
    std::variant<ControllerTick, ReportCame, SubmitAsked, CancelAsked, CheckpointAsked, MoveAsked, DrainAsked>;

// Actions.
struct SendOrders {
  uint64_t request = 0;
  WorkerOrders orders;
};
enum class AnswerCode { kOk, kNotFound, kRefused };
struct Answer {
  uint64_t request = 0;
  AnswerCode code = AnswerCode::kOk;
  std::string text = {};  // why not
  uint64_t job = 0;       // SubmitAsked
  uint64_t number = 0;    // CheckpointAsked: done when the job's request_done has reached this
};
// Its files may go; it is in no list any more. Lost if the program dies first: then it is found to be in no list later.
struct RemoveCheckpoint {
  uint64_t job = 0;
  CheckpointRef ref;
};
using ControllerAction = std::variant<SendOrders, Answer, RemoveCheckpoint>;

struct Decision {
  std::vector<Change> changes;
  std::vector<ControllerAction> actions;
};

}  // namespace baton::pool
