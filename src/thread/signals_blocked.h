// Signals held back for as long as such an object lives, for the calling thread and those it makes.
#pragma once

#include <signal.h>

namespace baton {

class SignalsBlocked {
 public:
  // All: for a thread that is to leave them to the others.
  SignalsBlocked();
  // Those with which a terminal stops its processes: were we stopped while a unit stands still, it would stand still as
  // long as we do.
  static SignalsBlocked Stops();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  explicit SignalsBlocked(const sigset_t& blocked);
  sigset_t before_{};
};

}  // namespace baton
