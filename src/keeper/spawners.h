// Where an engine's blank processes come from: our own children, or those of a capsule's init.
//
// Thread-safety: none.
#pragma once

#include <optional>

#include "capsule/capsule.h"
#include "capsule/stub.h"
#include "engine/engine.h"

namespace baton {

class LocalSpawner : public StubSpawner {
 public:
  Result<pid_t> SpawnStub(std::optional<pid_t> ns_pid) override { return SpawnLocalStub(ns_pid); }
};

class CapsuleSpawner : public StubSpawner {
 public:
  // Borrowed.
  explicit CapsuleSpawner(Capsule* capsule) : capsule_(capsule) {}
  Result<pid_t> SpawnStub(std::optional<pid_t> ns_pid) override {
    BATON_TRY(const CapsulePid stub, capsule_->SpawnStub(ns_pid));
    return stub.host_pid;
  }

 private:
  Capsule* capsule_;
};

// Makes a capsule's clocks go on from where the unit's stood; with `count_pause` the time since then is added, by the
// wall clock.
void CarryClocks(const SavedClocks& saved, bool count_pause, CapsuleOptions* options);

}  // namespace baton
