// Under whom is each process born? The heart of the planner. Internal to src/tree.
//
// Rules. A process is born in the session of its birth parent. Ancestors only ever get fewer: a parent changes to one
// of its own ancestors. So a process must be born below its parent of the end, and from a member of the session it is
// in (for session leaders: of any session, which they leave). We need only histories in which nobody is adopted before
// all are born: a temporary process between two nodes, ended when the upper one's ancestor is a subreaper, moves the
// lower one up at any later time, and ending them in the reverse order of their births never takes an ancestor away
// that is still needed. So what is looked for is a tree of births with
//   1. parent(x) above x;
//   2. leader(session(x)) above x, and only processes born in that session between the two.
// Any history that led to the forest gives such a tree, if one leaves out the dead (but not dead session leaders),
// adopts nobody, and lets x, born under y above its session's leader, be born under that leader instead. So if there is
// none, the forest cannot have come about.
//
// Mostly the forest itself is that tree. Exceptions: a session's members that were adopted by a process above the
// leader (x is born under the leader and moves up), children that a session leader had before it was one
// (`birth_session`), and leaders that themselves moved up, away from a process that holds other members of the session.
// Only processes that have to do with the last two are searched over: "above" is a partial order, closed under the
// rules, and where a process has two ancestors that are not above one another, both ways are tried.
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "tree/forest.h"

namespace baton {

struct Births {
  // By item; kNone for the outside.
  std::vector<size_t> under;
  // The leader of the session it is born in. If `under` is a node that leads a session, this is that one's own, or the
  // one that it was in before.
  std::vector<size_t> session;
};

// Errors: kNotSupported, see PlanTree.
Result<Births> FindBirths(const Forest& forest);

}  // namespace baton
