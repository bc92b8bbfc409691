#include "base/fault.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace baton {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

uint64_t NumberOr(std::string_view text, uint64_t fallback) {
  uint64_t number = fallback;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "name[:n]" and how often it was passed.
class Passage {
 public:
  explicit Passage(const std::string& spec) {
    const auto colon = spec.rfind(':');
    name_ = spec.substr(0, colon);
    if (colon != std::string::npos) number_ = NumberOr(std::string_view(spec).substr(colon + 1), 1);
  }
  bool wanted() const { return !name_.empty(); }
  // Whether this is the one.
  bool Pass(std::string_view name) { return name == name_ && ++passed_ == number_; }

 private:
  std::string name_;
  uint64_t number_ = 1;
  std::atomic<uint64_t> passed_ = 0;
};

struct Plan {
  Passage fail{Variable("BATON_FAIL_AT")};
  Passage hold{Variable("BATON_HOLD_AT")};
  std::string hold_fifo = Variable("BATON_HOLD_FIFO");
  std::string fail_trace = Variable("BATON_FAIL_TRACE");
  uint64_t die_at = NumberOr(Variable("BATON_DIE_AT"), 0);
  std::string die_trace = Variable("BATON_DIE_TRACE");
  std::atomic<uint64_t> die_passed = 0;
  bool fails = fail.wanted() || hold.wanted() || !fail_trace.empty();
  bool dies = die_at != 0 || !die_trace.empty();
};

Plan& ThePlan() {
  static Plan plan;
  return plan;
}

void AppendLine(const std::string& path, std::string line, int mode_flags) {
  line += '\n';
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | mode_flags, 0644);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t put = write(fd, line.data(), line.size());
  close(fd);
}

// open(2) of a FIFO waits for the other side.
void Hold(const std::string& fifo) {
  const int fd = open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
}

}  // namespace

Result<> FailPoint(std::string_view name) {
  DiePoint();
  Plan& plan = ThePlan();
  if (!plan.fails) [[likely]]
    return {};
  if (!plan.fail_trace.empty()) AppendLine(plan.fail_trace, std::string(name), O_APPEND);
  if (plan.hold.Pass(name)) Hold(plan.hold_fifo);
  if (!plan.fail.Pass(name)) return {};
  return MakeError(ErrorCode::kInternal, "made to fail at {}", name);
}

void DiePoint() {
  Plan& plan = ThePlan();
  if (!plan.dies) [[likely]]
    return;
  const uint64_t passed = ++plan.die_passed;
  if (!plan.die_trace.empty()) AppendLine(plan.die_trace, std::to_string(passed), O_TRUNC);
  if (passed == plan.die_at) raise(SIGKILL);
}

}  // namespace baton
