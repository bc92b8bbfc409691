#include "proc/stat.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::Scanner;

template <typename... Fields>
bool ParseFields(Scanner* scanner, Fields*... fields) {
  return (scanner->WordNumber(fields) && ...);
}

bool ParseAfterComm(Scanner* scanner, ProcStat* s) {
  const std::string_view state = scanner->Word();
  if (state.size() != 1) return false;
  s->state = state.front();
  return ParseFields(scanner, &s->ppid, &s->pgrp, &s->session, &s->tty_nr, &s->tpgid, &s->flags, &s->minflt,
                     &s->cminflt, &s->majflt, &s->cmajflt, &s->utime, &s->stime, &s->cutime, &s->cstime, &s->priority,
                     &s->nice, &s->num_threads, &s->itrealvalue, &s->starttime, &s->vsize, &s->rss, &s->rsslim,
                     &s->startcode, &s->endcode, &s->startstack, &s->kstkesp, &s->kstkeip, &s->signal, &s->blocked,
                     &s->sigignore, &s->sigcatch, &s->wchan, &s->nswap, &s->cnswap, &s->exit_signal, &s->processor,
                     &s->rt_priority, &s->policy, &s->delayacct_blkio_ticks, &s->guest_time, &s->cguest_time,
                     &s->start_data, &s->end_data, &s->start_brk, &s->arg_start, &s->arg_end, &s->env_start,
                     &s->env_end, &s->exit_code);
}

}  // namespace

Result<ProcStat> ParseStat(std::string_view text) {
  // comm is not escaped and may hold ')' and newlines, the fields after it cannot: so it ends at the last ')'.
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    return CorruptLine("no (name) in a task's stat", text);
  }
  ProcStat stat;
  Scanner head(text.substr(0, open));
  if (!head.WordNumber(&stat.pid) || head.rest() != " ") return CorruptLine("no number before the name in stat", text);
  stat.comm = text.substr(open + 1, close - open - 1);
  std::string_view fields = text.substr(close + 1);
  proc_text::StripSuffix("\n", &fields);
  Scanner scanner(fields);
  if (!ParseAfterComm(&scanner, &stat)) return CorruptLine("not the 52 fields of a task's stat", text);
  return stat;
}

}  // namespace baton
