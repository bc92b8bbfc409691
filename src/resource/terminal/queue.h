// What lies in the two queues of a pseudo terminal. The kernel has no way to look at it: it is taken out, and put back
// as it was. Should we die between the two, it is lost; that is some microseconds, and only if there is something.
// Not kept: which of several lines typed in advance ended without a newline (^D).
//
// Sources: ioctl_tty(2), drivers/tty/n_tty.c. Thread-safe: free functions without state.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace baton {

// Both are descriptors of ours, of a pair that nobody uses meanwhile; `slave` does not block. Settings are put back.
struct PtyEnds {
  int master = -1;
  int slave = -1;
};

// What the master has yet to read; it is no longer there afterwards.
Result<std::string> TakeOutput(const PtyEnds& ends);
// Puts it (back). `stopped`: output is stopped then, as by ^S.
Result<> PutOutput(const PtyEnds& ends, std::string_view bytes, bool stopped);
// What the slave has yet to read.
Result<std::string> TakeInput(const PtyEnds& ends);
Result<> PutInput(const PtyEnds& ends, std::string_view bytes);

// Whether output is stopped. REQUIRES: nothing to read at the master.
bool IsStopped(const PtyEnds& ends);

}  // namespace baton
