#include "thread/signals_blocked.h"

#include <csignal>
#include <initializer_list>

namespace baton {
namespace {

sigset_t All() {
  sigset_t all;
  sigfillset(&all);
  return all;
}

}  // namespace

SignalsBlocked::SignalsBlocked() : SignalsBlocked(All()) {}

SignalsBlocked::SignalsBlocked(const sigset_t& blocked) { pthread_sigmask(SIG_BLOCK, &blocked, &before_); }

SignalsBlocked SignalsBlocked::Stops() {
  sigset_t stops;
  sigemptyset(&stops);
  for (const int number : {SIGTSTP, SIGTTIN, SIGTTOU}) sigaddset(&stops, number);
  return SignalsBlocked(stops);
}

SignalsBlocked::~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace baton
