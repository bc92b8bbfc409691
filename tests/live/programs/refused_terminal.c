// live-modes: plain refuse refuse-user
// A terminal whose master somebody else holds cannot be saved: the error says so, before anything is touched.
// live-cases: master_outside
#include <sys/ioctl.h>

#include "target.h"

static void outside(int master) {
  char byte;
  mark("outside");
  wait_go();
  SAME(OK(read(master, &byte, 1)), 1);
  mark("read");
}
static void master_outside(void) {
  int master = OK(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  OK(unlockpt(master));
  int slave = OK(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  pid_t pid = OK(fork());
  if (pid == 0) {
    pid_t parent = getpid();
    if (OK(fork()) != 0) _exit(0);
    while (getppid() == parent) pause_ms(1);
    outside(master);
    _exit(0);
  }
  join_child(pid);
  close(master);
  await_mark("outside");
  char text[100];
  snprintf(text, sizeof text, "%d\n%d\nis a terminal of somebody outside the unit\n", getpid(), slave);
  live_publish("expect", text);
  ready();
  wait_go();
  SAME(OK(write(slave, "x", 1)), 1);
  await_mark("read");
}

static const struct live_case cases[] = {{"master_outside", master_outside}};
RUN_CASES(cases)
