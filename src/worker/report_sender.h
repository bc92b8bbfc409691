// ReportSender: calls the controller from a thread of its own, with the newest report; older ones that had to wait are
// left out, because the newest says all that they say.
//
// Thread-safety: used from one thread.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rpc/client.h"

namespace baton {

class ReportSender {
 public:
  static Result<std::unique_ptr<ReportSender>> Create(std::unique_ptr<RpcClient> client);
  ReportSender(const ReportSender&) = delete;
  ReportSender& operator=(const ReportSender&) = delete;
  // Waits for the call under way, at most as long as its time allows.
  ~ReportSender();

  void Send(pb::WorkerReport report);
  // Becomes readable when an answer is there.
  int event_fd() const { return event_.get(); }
  // The newest answer. Nothing: none since.
  std::optional<Result<pb::WorkerOrders>> Take();

 private:
  ReportSender(std::unique_ptr<RpcClient> client, UniqueFd event);
  void SendAll(const std::stop_token& stop);

  std::unique_ptr<RpcClient> client_;
  UniqueFd event_;
  std::mutex mutex_;
  std::condition_variable_any wanted_;
  std::optional<pb::WorkerReport> report_;
  std::optional<Result<pb::WorkerOrders>> answer_;
  std::jthread thread_;
};

}  // namespace baton
