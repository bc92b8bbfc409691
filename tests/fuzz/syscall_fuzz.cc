#include "fuzz_target.h"
#include "proc/syscall.h"

namespace baton {

Result<> FuzzOne(std::string_view input) {
  auto syscall = ParseSyscall(input);
  if (!syscall) return syscall.Fail();
  BATON_CHECK(syscall->running == input.starts_with("running"));
  BATON_CHECK(!syscall->running || syscall->number == -1);
  return {};
}

}  // namespace baton
