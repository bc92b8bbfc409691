// UniqueFd owns one open descriptor and closes it. It always holds a valid one: "none" is std::optional<UniqueFd>.
// Take ownership by value (UniqueFd), borrow as `int fd`.
//
// Thread-safety: as for a plain value.
#pragma once

#include <utility>

namespace baton {

class UniqueFd {
 public:
  // REQUIRES: `fd` is open and nobody else closes it.
  explicit UniqueFd(int fd);
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  // Errors of close(2) are ignored here: what is written for keeps is synced and closed by hand (base/file.h).
  ~UniqueFd();

  int get() const { return fd_; }
  // Gives the descriptor up; this object may then only be destroyed or assigned to.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace baton
