// Attributes of a process that one call sets and another reads.
// live-cases: umask nice no_new_privs not_dumpable subreaper timerslack batch idle thp_disable keepcaps tsc name_long
// live-cases: personality mdwe membarrier mce_kill
// An ordinary user may not trace what is not dumpable outside a user namespace of its own; and inside, its /proc/PID/fd
// is root's: refused, see e2e.refused.not_dumpable.
// live-without: user-pid.not_dumpable user.not_dumpable
#include <linux/membarrier.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static void umask_kept(void) {
  umask(0137);
  until_go();
  SAME(umask(0), 0137);
}
static void nice_kept(void) {
  OK(setpriority(PRIO_PROCESS, 0, 18));  // more than what the tests run with: nobody may take less
  until_go();
  errno = 0;
  SAME(getpriority(PRIO_PROCESS, 0), 18);
}
static void no_new_privs(void) {
  OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  until_go();
  SAME(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}
static void not_dumpable(void) {
  OK(prctl(PR_SET_DUMPABLE, 0));
  until_go();
  SAME(prctl(PR_GET_DUMPABLE), 0);
}
static void subreaper(void) {
  OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
  until_go();
  int seen = 0;
  OK(prctl(PR_GET_CHILD_SUBREAPER, &seen));
  SAME(seen, 1);
}
static void timerslack(void) {
  OK(prctl(PR_SET_TIMERSLACK, 123456));
  until_go();
  SAME(prctl(PR_GET_TIMERSLACK), 123456);
}
static void scheduled(int policy) {
  struct sched_param parameters = {0};
  OK(sched_setscheduler(0, policy, &parameters));
  until_go();
  SAME(sched_getscheduler(0), policy);
}
static void batch(void) { scheduled(SCHED_BATCH); }
static void idle(void) { scheduled(SCHED_IDLE); }
static void thp_disable(void) {
  OK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
  until_go();
  SAME(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
}
static void keepcaps(void) {
  OK(prctl(PR_SET_KEEPCAPS, 1));
  until_go();
  SAME(prctl(PR_GET_KEEPCAPS), 1);
}
static void tsc(void) {
  OK(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
  ready();
  while (!go()) syscall(SYS_sched_yield);  // not the vdso: it reads the time stamp counter
  int seen = 0;
  OK(prctl(PR_GET_TSC, &seen));
  OK(prctl(PR_SET_TSC, PR_TSC_ENABLE));
  SAME(seen, PR_TSC_SIGSEGV);
}
static void name_long(void) {
  char seen[16] = "";
  OK(prctl(PR_SET_NAME, "a name that is too long"));
  until_go();
  OK(prctl(PR_GET_NAME, seen));
  CHECK(strcmp(seen, "a name that is ") == 0, "'%s'", seen);
}

static void personality_kept(void) {
  OK(personality(ADDR_NO_RANDOMIZE | UNAME26));
  until_go();
  SAME(personality(0xffffffff), ADDR_NO_RANDOMIZE | UNAME26);
}
static void mdwe(void) {
  enum { kSet = 65, kGet = 66, kRefuseExecGain = 1 };  // PR_SET_MDWE, PR_GET_MDWE
  if (prctl(kSet, kRefuseExecGain, 0, 0, 0) != 0) skip("no memory-deny-write-execute here");
  until_go();
  SAME(prctl(kGet, 0, 0, 0, 0), kRefuseExecGain);
  void* memory = map_anon(kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  CHECK(mprotect(memory, kPage, PROT_READ | PROT_EXEC) == -1 && errno == EACCES, "%s", strerror(errno));
}
static void membarrier(void) {
  OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
  until_go();
  SAME(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), 0);
}
static void mce_kill(void) {
  OK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
  until_go();
  SAME(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
}

static const struct live_case cases[] = {{"umask", umask_kept},
                                         {"nice", nice_kept},
                                         {"no_new_privs", no_new_privs},
                                         {"not_dumpable", not_dumpable},
                                         {"subreaper", subreaper},
                                         {"timerslack", timerslack},
                                         {"batch", batch},
                                         {"idle", idle},
                                         {"thp_disable", thp_disable},
                                         {"keepcaps", keepcaps},
                                         {"tsc", tsc},
                                         {"name_long", name_long},
                                         {"personality", personality_kept},
                                         {"mdwe", mdwe},
                                         {"membarrier", membarrier},
                                         {"mce_kill", mce_kill}};
RUN_CASES(cases)
