#include "keeper/socket_address.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "base/file.h"

namespace baton {

// Socket addresses hold 107 bytes; a longer path goes by its directory's descriptor.
Result<SocketAddress> AddressOfSocket(const std::string& path) {
  SocketAddress result;
  result.address.sun_family = AF_UNIX;
  std::string shown = path;
  if (path.size() >= sizeof(result.address.sun_path)) {
    const size_t slash = path.rfind('/');
    BATON_TRY(UniqueFd directory, OpenFile(path.substr(0, slash + 1), O_PATH | O_DIRECTORY));
    shown = fmt::format("/proc/self/fd/{}{}", directory.get(), path.substr(slash));
    result.directory = std::move(directory);
  }
  if (shown.size() >= sizeof(result.address.sun_path)) {
    return MakeError(ErrorCode::kInvalidArgument, "the name of socket {} is too long", path);
  }
  memcpy(result.address.sun_path, shown.c_str(), shown.size() + 1);
  return result;
}

}  // namespace baton
