// Where a controller is reached, and who may: until there is TLS, on this machine only.
//
//   unix:/path/of/socket        mode 0600: whoever may open it; the kernel says who it was
//   127.0.0.1:7070, [::1]:7070  every call carries a token, from a file that only its owner can read
//
// Every other address is refused, because everybody on the way could read and change what is said.
//
// Thread-safety: plain values and free functions. Errors: kInvalidArgument for an address that is refused, and for a
// token file that others can read; kUnavailable where nobody listens; kConflict where another one does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace baton {

class Endpoint {
 public:
  static Result<Endpoint> Parse(const std::string& text);

  bool is_unix() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  uint16_t port() const { return port_; }
  std::string ToString() const;

  // A listening socket; with port 0 one that is free, which `endpoint` then has. What a dead one left at the path is
  // replaced.
  static Result<UniqueFd> Listen(Endpoint* endpoint);
  Result<UniqueFd> Connect() const;

 private:
  std::string path_;
  bool ipv6_ = false;
  uint16_t port_ = 0;
};

// Who is at the other end of a UNIX socket; nothing for others.
std::optional<uid_t> PeerUser(int fd);

// Makes the file, if there is none, with a new random token.
Result<std::string> MakeToken(const std::string& path);
Result<std::string> ReadToken(const std::string& path);

}  // namespace baton
