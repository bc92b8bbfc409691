// What the controller decides: which job runs where, at which epoch; whom it grants a lease; when a silent owner is
// given up; which checkpoints and results are accepted.
//
// Invariants
//  1. The epoch of a job only rises. Nothing of another epoch than the newest is granted or accepted, and nothing of a
//     job that is over.
//  2. A new attempt begins only when the last one is known to be over (its worker says so, its machine has booted
//  again,
//     or it stopped for good), or HandOverAfter() after the last grant to it.
//  3. A checkpoint and a result are accepted once, in one change together with what follows from them.
//  4. All changes of a decision are committed together before any of its actions is carried out. If that fails, the
//     program ends: what it knows is then again what the database knows.
#pragma once

#include "pool/decide/controller_events.h"
#include "pool/decide/controller_state.h"

namespace baton::pool {

Decision Decide(ControllerState& state, const ControllerEvent& event, Instant now);

// How often Tick is wanted.
inline constexpr Span kControllerTick(200);

}  // namespace baton::pool
