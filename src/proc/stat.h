// /proc/PID/stat and /proc/PID/task/TID/stat: the fields of man 5 proc_pid_stat, under its names and in its order.
//
// Kernel source: fs/proc/array.c do_task_stat(). Addresses and wchan read as 0 without the right to trace the task.
// Pure; thread-safe. Errors: kCorrupt, quoting the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace baton {

struct ProcStat {
  int pid = 0;
  std::string comm;  // raw: blanks, parentheses and newlines are possible
  char state = '?';  // R S D Z T t X I P
  int ppid = 0;
  int pgrp = 0;
  int session = 0;
  int tty_nr = 0;      // device number of the controlling terminal, 0: none
  int tpgid = 0;       // -1: no terminal
  unsigned flags = 0;  // PF_* of the kernel's sched.h
  uint64_t minflt = 0;
  uint64_t cminflt = 0;
  uint64_t majflt = 0;
  uint64_t cmajflt = 0;
  uint64_t utime = 0;  // this and the next three in clock ticks (sysconf(_SC_CLK_TCK) per second)
  uint64_t stime = 0;
  int64_t cutime = 0;
  int64_t cstime = 0;
  int64_t priority = 0;
  int64_t nice = 0;
  int64_t num_threads = 0;
  int64_t itrealvalue = 0;  // always 0 now
  uint64_t starttime = 0;   // clock ticks after boot (as the reader's time namespace sees it)
  uint64_t vsize = 0;       // bytes
  int64_t rss = 0;          // pages
  uint64_t rsslim = 0;      // bytes
  uint64_t startcode = 0;
  uint64_t endcode = 0;
  uint64_t startstack = 0;
  uint64_t kstkesp = 0;
  uint64_t kstkeip = 0;
  uint64_t signal = 0;  // these four: the first 31 signals only; status has them all
  uint64_t blocked = 0;
  uint64_t sigignore = 0;
  uint64_t sigcatch = 0;
  uint64_t wchan = 0;
  uint64_t nswap = 0;
  uint64_t cnswap = 0;
  int exit_signal = 0;  // sent to the parent at death; -1 for a thread
  int processor = 0;
  unsigned rt_priority = 0;
  unsigned policy = 0;
  uint64_t delayacct_blkio_ticks = 0;
  uint64_t guest_time = 0;
  int64_t cguest_time = 0;
  uint64_t start_data = 0;
  uint64_t end_data = 0;
  uint64_t start_brk = 0;
  uint64_t arg_start = 0;
  uint64_t arg_end = 0;
  uint64_t env_start = 0;
  uint64_t env_end = 0;
  int exit_code = 0;  // as of waitpid(2); of a zombie, and only with the right to trace it
};

// Needs all 52 fields (Linux 3.5 and later); further ones are ignored.
Result<ProcStat> ParseStat(std::string_view text);

}  // namespace baton
