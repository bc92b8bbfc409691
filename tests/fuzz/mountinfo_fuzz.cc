#include "fuzz_target.h"
#include "proc/mountinfo.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto mounts = ParseMountInfo(input);
  if (!mounts) return mounts.Fail();
  for (const MountInfo& mount : *mounts) {
    BATON_CHECK(mount.root.size() + mount.mount_point.size() + mount.super_options.size() <= input.size());
    for (const auto& field : mount.optional_fields) BATON_CHECK(field != "-");
  }
  return {};
}

}  // namespace baton
