#include "worker/renew_for_keeper.h"

#include <poll.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/log.h"
#include "pool/keeper/unit_files.h"
#include "pool/wire/convert.h"
#include "pool/wire/packet.h"
#include "rpc/client.h"

namespace baton {
namespace {

// As for the worker's reports.
constexpr std::chrono::milliseconds kTimeout(1'500);

class Renewal {
 public:
  Renewal(pb::UnitStart start, std::unique_ptr<RpcClient> client, int socket)
      : start_(std::move(start)), client_(std::move(client)), socket_(socket) {}

  Result<> Run() {
    while (true) {
      pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
      if (poll(&waiting, 1, -1) < 0 && errno != EINTR) return {};
      auto report = Newest();
      if (!report) return {};  // the keeper is gone
      if (*report) Carry(**report);
    }
  }

 private:
  // The newest says all that older ones say.
  Result<std::optional<pb::KeeperReport>> Newest() const {
    std::optional<pb::KeeperReport> newest;
    while (true) {
      BATON_TRY(auto message, ReceiveFromKeeper(socket_));
      if (!message) return newest;
      const bool ours = message->has_report() && message->report().report().unit().job() == start_.unit().job() &&
                        message->report().report().unit().epoch() == start_.unit().epoch();
      if (ours) newest = std::move(*message->mutable_report());
    }
  }

  void Carry(const pb::KeeperReport& report) {
    auto orders = client_->Report(Request(report), kTimeout);
    if (!orders) {
      BATON_LOG(kInfo, "controller: {}", orders.error().ToString());
      return;
    }
    for (const pb::UnitOrder& order : orders->units()) {
      if (order.unit().job() != start_.unit().job()) continue;
      pb::ToKeeper message;
      *message.mutable_instruction()->mutable_order() = order;
      message.mutable_instruction()->set_sent_at_ms(report.sent_at_ms());
      if (auto sent = SendPacket(socket_, message); !sent) BATON_LOG(kInfo, "keeper: {}", sent.error().ToString());
    }
  }

  pb::WorkerReport Request(const pb::KeeperReport& report) {
    pb::WorkerReport request;
    request.set_version(kPoolVersion);
    request.set_worker(start_.worker());
    request.set_incarnation(start_.incarnation());
    request.set_sequence(++sequence_);
    request.set_boot_id(start_.boot_id());
    request.set_partial(true);
    *request.add_units() = report.report();
    request.set_pool_id(start_.pool_id());
    return request;
  }

  pb::UnitStart start_;
  std::unique_ptr<RpcClient> client_;
  int socket_;
  uint64_t sequence_ = 0;
};

}  // namespace

Result<> RenewForKeeper(const std::string& directory, int socket) {
  BATON_TRY(pb::UnitStart start, UnitFiles(directory).LoadStart());
  BATON_TRY(const Endpoint endpoint, Endpoint::Parse(start.controller()));
  std::string token;
  if (!start.token_file().empty()) {
    BATON_TRY(token, ReadToken(start.token_file()));
  }
  return Renewal(std::move(start), RpcClient::Create(endpoint, token), socket).Run();
}

}  // namespace baton
