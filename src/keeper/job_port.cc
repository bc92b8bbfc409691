#include "keeper/job_port.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/file.h"
#include "keeper/process_limit.h"
#include "keeper/socket_address.h"

namespace baton {
namespace {

constexpr size_t kMostWord = 512;
constexpr std::string_view kPortVariables[] = {"BATON_SOCKET", "BATON_GENERATION_FILE", "BATON_STATUS_FILE",
                                               "BATON_LOCK_FILE"};
constexpr std::string_view kPortFiles[] = {"socket", "generation", "status", "lock"};

Result<std::string> RandomDigits(size_t bytes) {
  std::array<unsigned char, 16> random{};
  const ssize_t got = getrandom(random.data(), bytes, 0);
  if (const int error = errno; got != static_cast<ssize_t>(bytes)) return ErrnoError(error, "getrandom");
  std::string digits;
  for (size_t i = 0; i < bytes; ++i) digits += fmt::format("{:02x}", random.at(i));
  return digits;
}

Result<UniqueFd> BindSocket(const std::string& path) {
  const int raw = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (const int error = errno; raw < 0) return ErrnoError(error, "socket");
  UniqueFd socket(raw);
  BATON_TRY(const SocketAddress address, AddressOfSocket(path));
  const int bound = bind(raw, reinterpret_cast<const sockaddr*>(&address.address), sizeof(address.address));
  if (const int error = errno; bound != 0) return ErrnoError(error, "bind {}", path);
  return socket;
}

Result<> Replace(int directory, const char* name, std::string_view content) {
  const std::string fresh = fmt::format(".{}", name);
  unlinkat(directory, fresh.c_str(), 0);
  constexpr int kNobodyElses = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  BATON_TRY(const UniqueFd file, OpenFileAt(directory, fresh, kNobodyElses, 0600));
  BATON_CHECKED(WriteAll(file.get(), content));
  const int renamed = renameat(directory, fresh.c_str(), directory, name);
  if (const int error = errno; renamed != 0) return ErrnoError(error, "rename {}", name);
  return {};
}

// Of one length for all attempts: a job that maps it must find as many bytes in the next one's.
Result<std::string> GenerationText(uint32_t generation) {
  BATON_TRY(const std::string unique, RandomDigits(16));
  return fmt::format("{:<19}\n{}\n", generation, unique);
}

}  // namespace

JobPort::JobPort(std::string directory, std::string seen_at, uint32_t generation, UniqueFd handle, UniqueFd socket,
                 UniqueFd lock, UniqueFd ready)
    : directory_(std::move(directory)),
      seen_at_(std::move(seen_at)),
      generation_(generation),
      handle_(std::move(handle)),
      socket_(std::move(socket)),
      lock_(std::move(lock)),
      ready_(std::move(ready)) {}

JobPort::JobPort(JobPort&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      seen_at_(std::move(other.seen_at_)),
      generation_(other.generation_),
      handle_(std::move(other.handle_)),
      socket_(std::move(other.socket_)),
      lock_(std::move(other.lock_)),
      ready_(std::move(other.ready_)) {}

JobPort::~JobPort() {
  if (directory_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

Result<JobPort> JobPort::Open(const std::string& directory, const std::string& seen_at, uint32_t generation) {
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  if (error) return ErrnoError(error.value(), "empty {}", directory);
  BATON_CHECKED(MakeDirectories(directory));
  BATON_TRY(UniqueFd handle, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  BATON_TRY(UniqueFd socket, BindSocket(directory + "/socket"));
  BATON_TRY(UniqueFd lock, OpenFileAt(handle.get(), "lock", O_RDWR | O_CREAT | O_EXCL, 0600));
  BATON_TRY(const std::string text, GenerationText(generation));
  BATON_CHECKED(Replace(handle.get(), "generation", text));
  const int ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (const int failed = errno; ready < 0) return ErrnoError(failed, "eventfd");
  JobPort port(directory, seen_at, generation, std::move(handle), std::move(socket), std::move(lock), UniqueFd(ready));
  BATON_CHECKED(port.SetStatus("running", 0));
  return port;
}

std::vector<JobPort::Request> JobPort::TakeRequests() const {
  std::vector<Request> requests;
  const std::string prefix = seen_at_ + "/";
  while (requests.size() < kMostRequests) {
    std::array<char, kMostWord> bytes{};
    sockaddr_un from{};
    socklen_t length = sizeof(from);
    const ssize_t got =
        recvfrom(socket_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    std::string word(bytes.data(), static_cast<size_t>(got));
    while (!word.empty() && (word.back() == '\n' || word.back() == '\0')) word.pop_back();
    Request request{.word = std::move(word), .client = {}};
    const size_t begin = offsetof(sockaddr_un, sun_path);
    if (length > begin) {
      const std::string name(from.sun_path, strnlen(from.sun_path, length - begin));
      if (name.starts_with(prefix)) request.client = name.substr(prefix.size());
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

bool JobPort::Answer(const std::string& client, std::string_view text) const {
  if (client.empty() || client.find('/') != std::string::npos) return false;
  const auto place = OpenFileAt(handle_.get(), client, O_PATH | O_NOFOLLOW);
  struct stat status{};
  if (!place || fstat(place->get(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const auto address = AddressOfSocket(fmt::format("/proc/self/fd/{}", place->get()));
  if (!address) return false;
  const ssize_t sent = sendto(socket_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                              reinterpret_cast<const sockaddr*>(&address->address), sizeof(address->address));
  return sent == static_cast<ssize_t>(text.size());
}

std::string JobPort::StatusText(std::string_view word, uint64_t checkpoint) const {
  return fmt::format("{} {} {}", word, checkpoint, generation_);
}

Result<> JobPort::SetStatus(std::string_view word, uint64_t checkpoint) const {
  auto written = Replace(handle_.get(), "status", StatusText(word, checkpoint) + "\n");
  if (!written) return written.Fail("tell the job that it is {}", word);
  return {};
}

Result<> JobPort::EnterSection(std::chrono::milliseconds limit) const {
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (const int error = errno; error != EWOULDBLOCK) return ErrnoError(error, "flock");
  // By another process: its call can be broken off at any moment, and what it gets is ours, too.
  const pid_t waiter = fork();
  if (const int error = errno; waiter < 0) return ErrnoError(error, "fork");
  if (waiter == 0) {
    // Alone with the lock: it must not keep open what the keeper has, nor outlive it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto kept = static_cast<unsigned>(lock_.get());
    if (kept > 0) syscall(SYS_close_range, 0U, kept - 1, 0U);
    syscall(SYS_close_range, kept + 1, ~0U, 0U);
    while (flock(lock_.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    _exit(0);
  }
  BATON_TRY(const std::optional<int> ended, WaitAtMost(waiter, limit));
  if (ended && WIFEXITED(*ended)) return {};
  // It may have got it in the last moment.
  LeaveSection();
  return MakeError(ErrorCode::kUnavailable,
                   "the program holds its lock file and so has been in a critical section for {} ms", limit.count());
}

void JobPort::LeaveSection() const { flock(lock_.get(), LOCK_UN); }

void JobPort::NoteReady() const { eventfd_write(ready_.get(), 1); }

void JobPort::ForgetReady() const {
  eventfd_t count = 0;
  eventfd_read(ready_.get(), &count);
}

bool JobPort::AwaitReady(std::chrono::milliseconds limit) const {
  const auto came = AwaitReadable(ready_.get(), limit);
  return came && *came;
}

Result<std::string> ChoosePort(bool private_tmp) {
  if (private_tmp) return std::string("/tmp/.baton");
  BATON_TRY(const std::string unique, RandomDigits(8));
  return "/tmp/.baton-" + unique;
}

std::vector<std::string> JobEnvironment(const pb::JobSpec& spec) {
  std::vector<std::string> environment;
  for (const std::string& entry : spec.env()) {
    const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
    if (std::ranges::find(kPortVariables, name) == std::end(kPortVariables)) environment.push_back(entry);
  }
  if (spec.port().empty()) return environment;
  for (size_t i = 0; i < std::size(kPortVariables); ++i) {
    environment.push_back(fmt::format("{}={}/{}", kPortVariables[i], spec.port(), kPortFiles[i]));
  }
  return environment;
}

}  // namespace baton
