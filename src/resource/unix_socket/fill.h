// Puts messages back into the queues of UNIX sockets, each sent by the socket that sent it.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "resource/kind.h"
#include "resource/unix_socket/member.h"
#include "resource/unix_socket/names.h"

namespace baton {

class QueueFiller {
 public:
  QueueFiller(RestoreContext& context, UnixMembers& members, NameMaker& names)
      : context_(context), members_(members), names_(names) {}

  // Fills the queue of `receiver`. kUnavailable if it does not fit (net.unix.max_dgram_qlen, net.core.wmem_max).
  Result<> Fill(const UnixMember& receiver);
  // Closes the sockets that stood for those who are gone.
  Result<> Close();

 private:
  struct Sender {
    int fd = -1;             // in the holder
    bool addressed = false;  // not connected to the receiver
  };

  Result<> Send(const Sender& sender, const UnixMember& receiver, const pb::UnixMessage& message);
  Result<> SendFromHere(int sender, const UnixMember& receiver, bool addressed, const pb::UnixMessage& message);
  Result<> SendFromHolder(const Sender& sender, const UnixMember& receiver, const pb::UnixMessage& message);
  Result<Sender> SenderOf(const UnixMember& receiver, const pb::UnixMessage& message);
  Result<int> Gone(const UnixMember& receiver, const std::string& name);

  RestoreContext& context_;
  UnixMembers& members_;
  NameMaker& names_;
  std::map<std::pair<uint32_t, std::string>, int> gone_;  // type and name -> socket in the holder
};

}  // namespace baton
