// live-modes: plain pid pid-running capsule
// An ordinary user has one uid and no capability to keep; those are in the other modes of every program.
// Credentials of a process and of its threads: four uids and gids, groups, capability sets, securebits, bounding set.
// live-cases: uids groups capabilities bounding ambient securebits thread oom_score_adj
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdatomic.h>
#include <sys/fsuid.h>

#include "target.h"

static void until_go(void) {
  ready();
  wait_go();
}
static const char* own(const char* field) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/status", tid());
  return proc_field(path, field);
}
// These lines of the status are the same after as before.
static void compare(const char* const* fields) {
  char before[8][200];
  for (int i = 0; fields[i]; i++) snprintf(before[i], sizeof before[i], "%s", own(fields[i]));
  until_go();
  for (int i = 0; fields[i]; i++) {
    CHECK(strcmp(own(fields[i]), before[i]) == 0, "%s is '%s', was '%s'", fields[i], own(fields[i]), before[i]);
  }
}
static const char* const ids[] = {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", NULL};
static const char* const caps[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", NULL};

static void set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  for (int i = 0; i < 2; i++) {
    sets[i].effective = (uint32_t)(effective >> (32 * i));
    sets[i].permitted = (uint32_t)(permitted >> (32 * i));
    sets[i].inheritable = (uint32_t)(inheritable >> (32 * i));
  }
  OK(syscall(SYS_capset, &header, sets));
}
static uint64_t permitted(void) { return strtoull(own("CapPrm"), NULL, 16); }

static void uids(void) {
  OK(chmod(live_path("."), 0777));
  OK(setresgid(1001, 1002, 1003));
  setfsgid(1004);
  OK(prctl(PR_SET_DUMPABLE, 1));
  OK(setresuid(0, 1002, 1003));
  OK(seteuid(0));
  setfsuid(1005);
  compare(ids);
}
static void groups(void) {
  gid_t list[] = {7, 70000, 12, 4000000000u};
  OK(setgroups(4, list));
  compare(ids);
}
static void capabilities(void) {
  set_caps(permitted() & 0xff, permitted() & 0xffffff, permitted() & 0x33);
  compare(caps);
}
static void bounding(void) {
  OK(prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE));
  OK(prctl(PR_CAPBSET_DROP, CAP_MKNOD));
  compare(caps);
}
static void ambient(void) {
  set_caps(permitted(), permitted(), permitted());
  OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0));
  compare(caps);
}
static void securebits(void) {
  OK(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED));
  until_go();
  SAME(prctl(PR_GET_SECUREBITS), SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED);
}

static atomic_int dropped;
static void* drops(void* unused) {
  OK(syscall(SYS_setresuid, 0, 77, 0));  // the bare call changes only this thread
  dropped = 1;
  wait_go();
  CHECK(strcmp(own("Uid"), "0\t77\t0\t77") == 0, "'%s'", own("Uid"));
  return unused;
}
static void thread_(void) {
  pthread_t other = thread(drops, NULL);
  while (!dropped) pause_ms(1);
  OK(prctl(PR_SET_DUMPABLE, 1));
  compare(ids);
  pthread_join(other, NULL);
}
static void oom_score_adj(void) {
  int fd = OK(open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  SAME(OK(write(fd, "321", 3)), 3);
  close(fd);
  until_go();
  char* text = slurp("/proc/self/oom_score_adj", NULL);
  SAME(atoi(text), 321);
}

static const struct live_case cases[] = {{"uids", uids},
                                         {"groups", groups},
                                         {"capabilities", capabilities},
                                         {"bounding", bounding},
                                         {"ambient", ambient},
                                         {"securebits", securebits},
                                         {"thread", thread_},
                                         {"oom_score_adj", oom_score_adj}};
RUN_CASES(cases)
