#include "pool/keeper/renew_link.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "pool/wire/packet.h"

namespace baton {
namespace {

struct SocketPair {
  UniqueFd ours;
  UniqueFd its;
};

Result<SocketPair> MakePair() {
  std::array<int, 2> ends{};
  const int made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data());
  if (const int error = errno; made != 0) return ErrnoError(error, "socketpair");
  return SocketPair{.ours = UniqueFd(ends[0]), .its = UniqueFd(ends[1])};
}

}  // namespace

Result<RenewalProcess> StartRenewal(const std::string& unit_directory) {
  BATON_TRY(SocketPair pair, MakePair());
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_adddup2(&actions, pair.its.get(), STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = "/proc/self/exe", name = "baton", command = "keeper-renew", directory = unit_directory;
  char* const argv[] = {name.data(), command.data(), directory.data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoError(error, "start the process that calls the controller");
  return RenewalProcess{.socket = std::move(pair.ours), .pid = pid};
}

RenewLink::~RenewLink() { Drop(); }

void RenewLink::Attach(EventLoop* loop, Taker taker) {
  loop_ = loop;
  taker_ = std::move(taker);
  if (socket_) loop_->Watch(socket_->get(), POLLIN, [this](short) { return OnSocket(); });
}

Result<> RenewLink::Send(const pb::FromKeeper& message) {
  if (!socket_) {
    BATON_TRY(RenewalProcess started, StartRenewal(unit_directory_));
    socket_ = std::move(started.socket);
    pid_ = started.pid;
    loop_->Watch(socket_->get(), POLLIN, [this](short) { return OnSocket(); });
  }
  return SendPacket(socket_->get(), message);
}

Result<> RenewLink::OnSocket() {
  while (socket_) {
    auto message = ReceiveToKeeper(socket_->get());
    if (!message) {
      BATON_LOG(kInfo, "the process that calls the controller: {}", message.error().ToString());
      Drop();
      return {};
    }
    if (!*message) return {};
    BATON_CHECKED(taker_(**message));
  }
  return {};
}

void RenewLink::Drop() {
  if (socket_ && loop_ != nullptr) loop_->Unwatch(socket_->get());
  socket_.reset();
  if (pid_ == 0) return;
  // It would end by itself, but not at once if it is calling.
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

}  // namespace baton
