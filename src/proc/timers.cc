#include "proc/timers.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::ParseNumber;
using proc_text::Scanner;

bool ParseId(std::string_view line, ProcTimer* timer) {
  Scanner scanner(line);
  return scanner.Literal("ID: ") && scanner.Number(&timer->id) && scanner.done();
}

bool ParseSignal(std::string_view line, ProcTimer* timer) {
  Scanner scanner(line);
  return scanner.Literal("signal: ") && scanner.Number(&timer->signal) && scanner.Literal("/") &&
         scanner.Number(&timer->value, 16) && scanner.done();
}

bool ParseNotifyName(std::string_view name, ProcTimer::Notify* notify) {
  if (name == "none") return *notify = ProcTimer::Notify::kNone, true;
  if (name == "signal") return *notify = ProcTimer::Notify::kSignal, true;
  if (name == "thread") return *notify = ProcTimer::Notify::kThread, true;
  return false;
}

bool ParseNotify(std::string_view line, ProcTimer* timer) {
  Scanner scanner(line);
  std::string_view name;
  std::string_view who;
  if (!scanner.Literal("notify: ") || !scanner.Until('/', &name) || !ParseNotifyName(name, &timer->notify))
    return false;
  if (!scanner.Until('.', &who) || (who != "pid" && who != "tid")) return false;
  timer->to_thread = who == "tid";
  return scanner.Number(&timer->target) && scanner.done();
}

bool ParseClock(std::string_view line, ProcTimer* timer) {
  Scanner scanner(line);
  return scanner.Literal("ClockID: ") && scanner.Number(&timer->clock_id) && scanner.done();
}

constexpr bool (*kSteps[])(std::string_view line, ProcTimer* timer) = {ParseId, ParseSignal, ParseNotify, ParseClock};

}  // namespace

Result<std::vector<ProcTimer>> ParseTimers(std::string_view text) {
  std::vector<ProcTimer> timers;
  std::string_view line;
  size_t step = 0;
  while (proc_text::NextLine(&text, &line)) {
    if (step == 0) timers.emplace_back();
    if (!kSteps[step](line, &timers.back())) return CorruptLine("not the expected line of a timer", line);
    step = (step + 1) % std::size(kSteps);
  }
  if (step != 0) return CorruptLine("last timer is cut off after", line);
  return timers;
}

}  // namespace baton
