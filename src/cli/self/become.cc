#include "cli/self/become.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "base/unique_fd.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

// The program's bytes, as the linker made them.
asm(R"(
  .section .rodata
  .balign 16
baton_self_program:
  .incbin ")" BATON_SELF_PROGRAM R"("
baton_self_program_end:
  .previous
)");

extern "C" {
extern const char baton_self_program[];
extern const char baton_self_program_end[];
}

namespace baton {

void BecomeAsker(const std::string& socket, bool json) {
  int raw = memfd_create("baton-self", MFD_CLOEXEC | MFD_EXEC);
  // Linux before 6.3 does not know the second flag, and needs none.
  if (raw < 0 && errno == EINVAL) raw = memfd_create("baton-self", MFD_CLOEXEC);
  if (raw < 0) return;
  const UniqueFd program(raw);
  if (!WriteAll(raw, std::string_view(baton_self_program, baton_self_program_end))) return;
  std::string name = "baton-self";
  std::string path = socket;
  std::string format = json ? "json" : "text";
  const std::array<char*, 4> argv{name.data(), path.data(), format.data(), nullptr};
  syscall(SYS_execveat, raw, "", argv.data(), environ, AT_EMPTY_PATH);
}

}  // namespace baton
