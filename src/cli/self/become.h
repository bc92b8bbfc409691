// Turns this process into the small program of main.cc.
//
// Thread-safety: none.
#pragma once

#include <string>

namespace baton {

// Returns only where the system does not let it happen: then AskForCheckpoint does the same from here.
void BecomeAsker(const std::string& socket, bool json);

}  // namespace baton
