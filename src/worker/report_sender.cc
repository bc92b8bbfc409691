#include "worker/report_sender.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>
#include <utility>

namespace baton {
namespace {

// An answer that comes later buys nothing, and the next report is not to wait for it.
constexpr std::chrono::milliseconds kTimeout(1'500);

}  // namespace

Result<std::unique_ptr<ReportSender>> ReportSender::Create(std::unique_ptr<RpcClient> client) {
  const int raw = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (const int error = errno; raw < 0) return ErrnoError(error, "eventfd");
  return std::unique_ptr<ReportSender>(new ReportSender(std::move(client), UniqueFd(raw)));
}

ReportSender::ReportSender(std::unique_ptr<RpcClient> client, UniqueFd event)
    : client_(std::move(client)),
      event_(std::move(event)),
      thread_([this](const std::stop_token& stop) { SendAll(stop); }) {}

ReportSender::~ReportSender() { thread_.request_stop(); }

void ReportSender::Send(pb::WorkerReport report) {
  const std::lock_guard lock(mutex_);
  report_ = std::move(report);
  wanted_.notify_one();
}

std::optional<Result<pb::WorkerOrders>> ReportSender::Take() {
  eventfd_t count = 0;
  eventfd_read(event_.get(), &count);
  const std::lock_guard lock(mutex_);
  return std::exchange(answer_, std::nullopt);
}

void ReportSender::SendAll(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (wanted_.wait(lock, stop, [this] { return report_.has_value(); })) {
    const pb::WorkerReport report = *std::exchange(report_, std::nullopt);
    lock.unlock();
    auto answer = client_->Report(report, kTimeout);
    lock.lock();
    answer_ = std::move(answer);
    eventfd_write(event_.get(), 1);
  }
}

}  // namespace baton
