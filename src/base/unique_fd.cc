#include "base/unique_fd.h"

#include <unistd.h>

#include "base/check.h"

namespace baton {

UniqueFd::UniqueFd(int fd) : fd_(fd) { BATON_CHECK(fd >= 0); }

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace baton
