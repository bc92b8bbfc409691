// Gives sockets in the holder their names back: at their place in the file system, or where nobody sees it.
//
// Thread-safety: the tracer's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "resource/common/remote_sockets.h"
#include "resource/kind.h"
#include "resource/unix_socket/unix_socket.pb.h"

namespace baton {

class NameMaker {
 public:
  explicit NameMaker(RestoreContext& context) : context_(context), sockets_(context.holder()) {}

  // Binds the holder's socket `fd`. A file that the name had is made again, unless one is there that is none of ours:
  // kConflict. A name whose file was gone is given without leaving a file.
  Result<> Bind(int fd, const pb::UnixName& name);
  // The name alone, as in sun_path: no file is left.
  Result<> BindHidden(int fd, const std::string& name);

  // Where a socket that was bound here can be reached: an address (sockaddr_un) for connect in any process of the unit.
  // kNotFound without a name.
  Result<std::vector<std::byte>> AddressOf(int fd);
  // The same for our own process; `place` holds a descriptor that the address needs.
  Result<std::vector<std::byte>> OwnAddressOf(int fd, std::optional<UniqueFd>& place);

 private:
  Result<> BindAtPlace(int fd, const pb::UnixName& name);
  Result<> MakeRoom(const std::string& path);
  Result<> NotePlace(int fd, const std::string& path);
  Result<> SetAttributes(const std::string& path, const pb::UnixName& name);
  Result<> BindInEmptyRoot(int fd, const std::string& name);

  RestoreContext& context_;
  RemoteSockets sockets_;
  std::map<int, std::string> abstract_;  // socket in the holder -> its name
  std::map<int, int> places_;            // socket in the holder -> its file there (O_PATH)
};

// sockaddr_un for a name as in sun_path. REQUIRES: at most 108 bytes.
std::vector<std::byte> UnixAddress(const std::string& name);

}  // namespace baton
