// UnitHold: makes a unit stand still, invisibly to it, and lets it go on: without a checkpoint, for as long as need be.
// A thread of its own seizes all processes and keeps them until it is told to let go; if it dies, they die.
//
// Thread-safety: one thread uses it. Errors: as UnitCapture::Stop; kTaskGone if the unit ended meanwhile.
#pragma once

#include <sys/types.h>

#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class UnitHold {
 public:
  // Begins to stop everything below `init_pid`, a capsule's init, that we made.
  static Result<std::unique_ptr<UnitHold>> Begin(pid_t init_pid);
  UnitHold(const UnitHold&) = delete;
  UnitHold& operator=(const UnitHold&) = delete;
  // Lets go, and waits until that is done.
  ~UnitHold();

  // Becomes readable when the unit stands still, or could not be stopped.
  int event_fd() const { return event_.get(); }
  // Which of the two. Nothing: not known yet.
  std::optional<Result<>> stopped();

 private:
  explicit UnitHold(UniqueFd event) : event_(std::move(event)) {}
  void Hold(pid_t init_pid);

  UniqueFd event_;
  std::promise<Result<>> outcome_;
  std::future<Result<>> outcome_here_ = outcome_.get_future();
  std::promise<void> let_go_;
  std::jthread thread_;
};

}  // namespace baton
