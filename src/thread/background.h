// Background: one piece of work at a time on a helper thread, with a descriptor that says when it is done.
//
// Thread-safety: used from one thread; the work runs on another and must not touch what that one uses meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class Background {
 public:
  static Result<Background> Create();

  // Becomes readable when the work is done.
  int event_fd() const { return event_.get(); }
  bool busy() const { return thread_.joinable(); }
  // REQUIRES: !busy().
  void Start(std::function<Result<>()> work);
  // Waits for the end of the work. REQUIRES: busy().
  Result<> Take();

 private:
  explicit Background(UniqueFd event) : event_(std::move(event)) {}

  UniqueFd event_;
  std::jthread thread_;
  std::shared_ptr<std::optional<Result<>>> outcome_;
};

}  // namespace baton
