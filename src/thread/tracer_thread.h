// A thread for what must be done by one thread: ptrace belongs to the thread that seized. When it ends, the kernel lets
// go of whatever it may still hold (a process that could not be stopped in time, a thread that was ending), tells of
// deaths that were not asked about, and kills what was to die with it.
//
// Thread-safety: one thread uses it. All signals are blocked in the new one.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "base/result.h"

namespace baton {

class TracerThread {
 public:
  TracerThread();
  TracerThread(const TracerThread&) = delete;
  TracerThread& operator=(const TracerThread&) = delete;
  ~TracerThread();

  // Has `work` done by the thread, always the same one, and waits for it.
  Result<> Run(std::function<Result<>()> work);

 private:
  void Serve(const std::stop_token& stop);

  std::mutex mutex_;  // for what follows
  std::condition_variable_any wanted_;
  std::function<Result<>()> work_;
  std::promise<Result<>> outcome_;
  std::jthread thread_;
};

}  // namespace baton
