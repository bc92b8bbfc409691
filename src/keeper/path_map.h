// --map-path OLD=NEW: what the restored processes know as OLD is NEW on this machine. It is shown to them there, by a
// mount in their capsule; so it holds for all that they have open or mapped, and for what they will open.
//
// Thread-safety: free functions. Errors: kInvalidArgument, kNotFound.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "capsule/capsule_options.h"
#include "keeper/job_spec.pb.h"

namespace baton {

// NEW must be there; where it is a file, so must OLD.
Result<CapsuleBind> ParsePathMap(const std::string& text);
Result<std::vector<CapsuleBind>> ParsePathMaps(const std::vector<std::string>& texts);

// kInvalidArgument for one that reaches into the job's workspace, which has places of its own.
Result<> CheckPathMaps(const pb::JobSpec& spec, const std::vector<CapsuleBind>& maps);

}  // namespace baton
