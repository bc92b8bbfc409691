// An address in the target's address space. Never a pointer of ours, so it cannot be dereferenced by accident.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace baton {

template <typename T = std::byte>
class RemotePtr {
 public:
  constexpr RemotePtr() = default;
  constexpr explicit RemotePtr(uint64_t address) : address_(address) {}

  constexpr uint64_t value() const { return address_; }
  constexpr bool is_null() const { return address_ == 0; }
  template <typename U>
  constexpr RemotePtr<U> As() const {
    return RemotePtr<U>(address_);
  }
  constexpr RemotePtr operator+(uint64_t elements) const { return RemotePtr(address_ + elements * sizeof(T)); }
  friend constexpr auto operator<=>(RemotePtr, RemotePtr) = default;

 private:
  uint64_t address_ = 0;
};

}  // namespace baton
