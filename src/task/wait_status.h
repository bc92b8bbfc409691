// A wait status as a type (wait(2), ptrace(2)).
#pragma once

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <csignal>

namespace baton {

class WaitStatus {
 public:
  constexpr explicit WaitStatus(int raw) : raw_(raw) {}

  int raw() const { return raw_; }
  bool Gone() const { return WIFEXITED(raw_) || WIFSIGNALED(raw_); }
  bool Stopped() const { return WIFSTOPPED(raw_); }
  int stop_signal() const { return WSTOPSIG(raw_); }
  // PTRACE_EVENT_*, 0 for a signal-delivery stop.
  int event() const { return raw_ >> 16; }
  // The trap of PTRACE_INTERRUPT, a group stop, or the first stop of an automatically attached child.
  bool EventStop() const { return Stopped() && event() == PTRACE_EVENT_STOP; }
  bool GroupStop() const { return EventStop() && stop_signal() != SIGTRAP; }
  bool SignalDelivery(int signal) const { return Stopped() && event() == 0 && stop_signal() == signal; }

 private:
  int raw_;
};

}  // namespace baton
