#include "cli/self/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace baton {
namespace {

constexpr int kFailed = 125;  // as all of Baton's own failures
constexpr size_t kMostBytes = 4096;

int Fail(const char* what, int error) {
  fprintf(stderr, "baton: checkpoint --self: %s: %s\n", what, strerror(error));
  return kFailed;
}

bool SetAddress(sockaddr_un* address, const char* path) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  const size_t length = strlen(path);
  if (length >= sizeof address->sun_path) return false;
  memcpy(address->sun_path, path, length);
  return true;
}

// In the socket's directory, so that the keeper finds it.
bool SetOwnAddress(sockaddr_un* address, const sockaddr_un& keeper) {
  *address = keeper;
  char* const name = strrchr(address->sun_path, '/');
  if (name == nullptr) return false;
  const size_t room = sizeof address->sun_path - static_cast<size_t>(name - address->sun_path);
  return static_cast<size_t>(snprintf(name, room, "/client.%d", static_cast<int>(getpid()))) < room;
}

int Show(const char* answer, bool json) {
  char word[16];
  unsigned long long checkpoint = 0;
  unsigned generation = 0;
  if (sscanf(answer, "%15s %llu %u", word, &checkpoint, &generation) != 3) {
    const char* const why = strncmp(answer, "failed ", 7) == 0 ? answer + 7 : answer;
    fprintf(stderr, "baton: checkpoint --self: %s\n", why);
    return kFailed;
  }
  if (json) {
    printf("{\"outcome\": \"%s\", \"checkpoint\": %llu, \"generation\": %u}\n", word, checkpoint, generation);
  } else {
    printf("%s %llu %u\n", word, checkpoint, generation);
  }
  return fflush(stdout) == 0 ? 0 : Fail("write the answer", errno);
}

int Ask(int fd, const sockaddr_un& keeper, bool json) {
  constexpr char kWord[] = "checkpoint";
  ssize_t sent = 0;
  do {
    sent = sendto(fd, kWord, strlen(kWord), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&keeper), sizeof keeper);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return Fail(keeper.sun_path, errno);
  char answer[kMostBytes + 1];
  ssize_t got = 0;
  do {
    got = recv(fd, answer, kMostBytes, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return Fail("receive the answer", errno);
  answer[got] = '\0';
  return Show(answer, json);
}

}  // namespace

int AskForCheckpoint(const char* socket_path, bool json) {
  sockaddr_un keeper;
  sockaddr_un own;
  if (!SetAddress(&keeper, socket_path) || !SetOwnAddress(&own, keeper)) return Fail(socket_path, ENAMETOOLONG);
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail("socket", errno);
  unlink(own.sun_path);  // of an earlier process with our number
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) return Fail(own.sun_path, errno);
  const int exit_code = Ask(fd, keeper, json);
  unlink(own.sun_path);
  close(fd);
  return exit_code;
}

}  // namespace baton
