// /proc/PID/status and /proc/PID/task/TID/status: "Key:\tvalue" lines.
//
// Kernel source: fs/proc/array.c proc_pid_status(); man 5 proc_pid_status.
// Pure; thread-safe. Errors: kCorrupt, quoting the line, or naming the line that every kernel writes and that is
// missing.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace baton {

struct ProcStatus {
  std::string name;               // comm, with the kernel's \n and \\ decoded
  std::optional<unsigned> umask;  // none: a zombie, or a kernel thread without a file system
  char state = '?';
  pid_t tgid = 0;
  pid_t pid = 0;
  pid_t ppid = 0;  // 0: the parent is outside the reader's pid namespace
  pid_t tracer_pid = 0;
  std::array<uid_t, 4> uid{};  // real, effective, saved, file system; as the reader's user namespace sees them
  std::array<gid_t, 4> gid{};
  unsigned fd_size = 0;
  std::vector<gid_t> groups;
  // Outermost (the reader's) namespace first; the last is what the task calls itself. Empty without CONFIG_PID_NS.
  std::vector<pid_t> ns_tgid;
  std::vector<pid_t> ns_pid;
  std::vector<pid_t> ns_pgid;  // 0 where the group's leader is not seen from that namespace
  std::vector<pid_t> ns_sid;
  std::optional<uint64_t> vm_lck_kb;  // these two: none without an address space
  std::optional<uint64_t> vm_swap_kb;
  unsigned threads = 0;
  // Bit N-1 is signal N.
  uint64_t sig_pnd = 0;  // of this thread
  uint64_t shd_pnd = 0;  // of the whole process
  uint64_t sig_blk = 0;
  uint64_t sig_ign = 0;
  uint64_t sig_cgt = 0;
  // Bit N is capability N.
  uint64_t cap_inh = 0;
  uint64_t cap_prm = 0;
  uint64_t cap_eff = 0;
  uint64_t cap_bnd = 0;
  uint64_t cap_amb = 0;
  bool no_new_privs = false;
  unsigned seccomp = 0;                     // 0 off, 1 strict, 2 filter
  std::optional<unsigned> seccomp_filters;  // none before Linux 5.9
  std::string cpus_allowed;                 // hexadecimal mask, "ff" or "00000000,000000ff"
  // Every other line, in order, value without blanks around it.
  std::vector<std::pair<std::string, std::string>> others;

  // The value of a line kept in `others`; nullptr if there is none.
  const std::string* Find(std::string_view key) const;
};

Result<ProcStatus> ParseStatus(std::string_view text);

}  // namespace baton
