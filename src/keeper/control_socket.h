// The control socket of a running job: how `baton checkpoint`, `baton show` and others speak to its keeper. Protocol:
// control.proto. The server lives in the keeper's event loop; the client blocks.
//
// Thread-safety: none; the server belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "keeper/control.pb.h"
#include "keeper/event_loop.h"

namespace baton {

inline constexpr uint32_t kControlVersion = 1;

pb::ControlReply ErrorReply(const Error& error);

class ControlServer {
 public:
  using ClientId = uint64_t;
  // Returns the reply, or nothing if Reply will be called for this client later.
  using Handler = std::function<std::optional<pb::ControlReply>(ClientId client, const pb::ControlRequest& request)>;

  // Binds `path` (mode 0600, an old socket is replaced) and watches it in `loop`, which must outlive the server.
  // REQUIRES: the caller holds the run's lock. Peers other than our user and root are hung up on.
  static Result<std::unique_ptr<ControlServer>> Listen(const std::string& path, EventLoop* loop, Handler handler);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  // Removes the socket.
  ~ControlServer();

  // A late reply; nothing happens if the client is gone.
  void Reply(ClientId client, const pb::ControlReply& reply);

 private:
  ControlServer(UniqueFd listener, std::string path, EventLoop* loop, Handler handler);
  Result<> OnConnect();
  Result<> OnRequest(ClientId client);
  void Drop(ClientId client);

  UniqueFd listener_;
  std::string path_;
  EventLoop* loop_;
  Handler handler_;
  ClientId next_client_ = 1;
  std::map<ClientId, UniqueFd> clients_;
};

// Sends one request to a run's keeper and waits for its reply. An error reply becomes the error. kUnavailable if nobody
// listens at `path`.
Result<pb::ControlReply> CallKeeper(const std::string& path, pb::ControlRequest request);

}  // namespace baton
