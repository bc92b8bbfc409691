// What the unit tests of kinds share: facts of a descriptor of their own, and a unit made of such facts.
#pragma once

#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "resource/common/facts.h"
#include "resource/kind.h"

namespace baton {

// As the core gathers them; the copy is the descriptor itself.
inline FdFacts FactsOfOwn(int fd, uint32_t id = 1) {
  FdFacts facts = GatherFacts(getpid(), fd, fd).value();
  facts.id = id;
  facts.users.push_back({getpid(), fd, (facts.info.flags & O_CLOEXEC) != 0});
  return facts;
}

// A unit whose only process is this one, unless told otherwise.
class FakeCapture : public CaptureContext {
 public:
  std::span<const FdFacts> files() const override { return unit; }
  const FdFacts* Find(pid_t host_pid, int fd) const override {
    const auto found =
        std::ranges::find_if(unit, [&](const FdFacts& file) { return file.host_pid == host_pid && file.fd == fd; });
    return found == unit.end() ? nullptr : &*found;
  }
  const FdFacts* FindCopy(int own_fd) const override {
    const auto found = std::ranges::find_if(unit, [&](const FdFacts& file) {
      return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, file.copy, own_fd) == 0;
    });
    return found == unit.end() ? nullptr : &*found;
  }
  std::optional<pid_t> NsPid(pid_t host_pid) const override {
    const auto found = processes.find(host_pid);
    if (found == processes.end()) return std::nullopt;
    return found->second;
  }
  bool HasProcess(pid_t ns_pid) const override {
    return std::ranges::any_of(processes, [&](const auto& process) { return process.second == ns_pid; });
  }
  void AddContent(std::string space, std::vector<std::byte> bytes) override {
    contents[std::move(space)] = std::move(bytes);
  }

  bool ResetsTcpOutside() const override { return reset_tcp_outside; }
  std::shared_ptr<const void>& Memo(uint32_t id) const override { return memos_[id]; }

  std::vector<FdFacts> unit;
  std::map<pid_t, pid_t> processes{{getpid(), getpid()}};  // as we see it -> as the unit does
  std::map<std::string, std::vector<std::byte>> contents;
  bool reset_tcp_outside = false;

 private:
  mutable std::map<uint32_t, std::shared_ptr<const void>> memos_;
};

}  // namespace baton
