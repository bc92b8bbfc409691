// The native engine's records of an image, parsed and checked before anything is made from them: an image is input from
// outside. Errors: kCorrupt for records that cannot be true; kNotSupported for versions and kinds this build does not
// know.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/native/native.pb.h"
#include "engine/native/sysv.pb.h"
#include "image/reader.h"
#include "task/blank_task.h"

namespace baton {

struct UnitImage {
  pb::UnitRecord unit;
  std::vector<pb::ProcessRecord> processes;
  std::vector<pb::OpenFileRecord> files;
  pb::SysvRecord sysv;
  std::map<std::string, std::string> contents;  // by space name, of resource kinds
};

Result<UnitImage> LoadUnitImage(const ImageReader& reader);

// An address range for the boot area that no process of the unit uses and a stub does not either.
Result<BootArea> ChooseBootArea(const UnitImage& image);

// Every pid and tid of the unit, and session and group ids: numbers that helpers must not take.
std::vector<pid_t> NumbersInUse(const UnitImage& image);

}  // namespace baton
