// RenewForKeeper: `baton keeper-renew`, what a keeper starts to call the controller when its worker is silent
// (pool/keeper/renew_link.h). It knows one unit and tells of no other.
//
// Thread-safety: none. Errors: what kept it from beginning; a controller that does not answer is none.
#pragma once

#include <string>

#include "base/result.h"

namespace baton {

// Until the keeper at the other end of `socket` is gone. `directory`: the unit's (pool/keeper/unit_files.h).
Result<> RenewForKeeper(const std::string& directory, int socket);

}  // namespace baton
