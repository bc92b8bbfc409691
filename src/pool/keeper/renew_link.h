// RenewLink: how a keeper asks the controller itself when its worker is silent. A keeper has no gRPC; `baton
// keeper-renew`, a process that it starts when it first needs it, has: it takes the keeper's reports from a socket
// pair, calls the controller, and hands back what it says (docs/decisions/0009-keeper-asks-itself.md).
//
// Thread-safety: none. If the process dies it is started again with the next report.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/event_loop.h"
#include "pool/wire/keeper_link.pb.h"

namespace baton {

class RenewLink {
 public:
  using Taker = std::function<Result<>(const pb::ToKeeper& message)>;

  // `unit_directory`: what the process is told (unit_files.h).
  explicit RenewLink(std::string unit_directory) : unit_directory_(std::move(unit_directory)) {}
  RenewLink(const RenewLink&) = delete;
  RenewLink& operator=(const RenewLink&) = delete;
  // The process ends by itself when the socket is closed.
  ~RenewLink();

  // Takes over a process that was started before, with another user's right to do so.
  void Adopt(UniqueFd socket) { socket_ = std::move(socket); }
  // What comes back is given to `taker`, from `loop`.
  void Attach(EventLoop* loop, Taker taker);
  // The loop is about to be gone.
  void Detach() { loop_ = nullptr; }
  Result<> Send(const pb::FromKeeper& message);

 private:
  Result<> OnSocket();
  void Drop();

  std::string unit_directory_;
  std::optional<UniqueFd> socket_;
  pid_t pid_ = 0;  // our child; 0: none, or adopted
  EventLoop* loop_ = nullptr;
  Taker taker_;
};

struct RenewalProcess {
  UniqueFd socket;  // our end
  pid_t pid = 0;
};
Result<RenewalProcess> StartRenewal(const std::string& unit_directory);

}  // namespace baton
