#include "proc/syscall.h"

#include "proc/text.h"

namespace baton {

namespace {

bool ParseBlocked(std::string_view line, ProcSyscall* syscall) {
  proc_text::Scanner scanner(line);
  if (!scanner.WordNumber(&syscall->number)) return false;
  if (syscall->number != -1) {
    for (uint64_t& arg : syscall->args) {
      if (!proc_text::ParseHex0x(scanner.Word(), &arg)) return false;
    }
  }
  return proc_text::ParseHex0x(scanner.Word(), &syscall->sp) && proc_text::ParseHex0x(scanner.Word(), &syscall->pc) &&
         scanner.done();
}

}  // namespace

Result<ProcSyscall> ParseSyscall(std::string_view text) {
  std::string_view line = text;
  proc_text::StripSuffix("\n", &line);
  ProcSyscall syscall;
  syscall.running = line == "running";
  if (!syscall.running && !ParseBlocked(line, &syscall)) {
    return proc_text::CorruptLine("not what a task's syscall file holds", line);
  }
  return syscall;
}

}  // namespace baton
