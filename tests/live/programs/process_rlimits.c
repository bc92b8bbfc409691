// All resource limits: soft ones lowered, some hard ones too, the rest as they were; a child with other ones.
#include <sys/resource.h>

#include "target.h"

static struct rlimit wanted[RLIM_NLIMITS];

static void lower(int resource, rlim_t soft, rlim_t hard) {
  struct rlimit limit;
  OK(getrlimit(resource, &limit));
  if (limit.rlim_max == RLIM_INFINITY || hard < limit.rlim_max) limit.rlim_max = hard;
  limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
  OK(setrlimit(resource, &limit));
}

static void remember(void) {
  for (int i = 0; i < RLIM_NLIMITS; i++) OK(getrlimit(i, &wanted[i]));
}

static void compare(void) {
  for (int i = 0; i < RLIM_NLIMITS; i++) {
    struct rlimit seen;
    OK(getrlimit(i, &seen));
    CHECK(seen.rlim_cur == wanted[i].rlim_cur && seen.rlim_max == wanted[i].rlim_max,
          "limit %d is %llx:%llx, was %llx:%llx", i, (long long)seen.rlim_cur, (long long)seen.rlim_max,
          (long long)wanted[i].rlim_cur, (long long)wanted[i].rlim_max);
  }
}

static void other(void* unused) {
  (void)unused;
  lower(RLIMIT_NOFILE, 20, 100);
  lower(RLIMIT_FSIZE, 1 << 20, 2 << 20);
  remember();
  mark("other");
  wait_go();
  compare();
}

int main(void) {
  lower(RLIMIT_CORE, 0, RLIM_INFINITY);
  lower(RLIMIT_STACK, 4 << 20, RLIM_INFINITY);
  lower(RLIMIT_NOFILE, 300, 700);
  lower(RLIMIT_CPU, 1000, 2000);
  lower(RLIMIT_AS, (rlim_t)1 << 40, (rlim_t)1 << 41);
  lower(RLIMIT_MEMLOCK, 65536, 1 << 20);
  lower(RLIMIT_SIGPENDING, 100, 200);
  lower(RLIMIT_RTTIME, 500000, 600000);
  remember();
  pid_t pid = child(other, NULL);
  await_mark("other");
  ready();
  wait_go();
  compare();
  join_child(pid);
  pass();
}
