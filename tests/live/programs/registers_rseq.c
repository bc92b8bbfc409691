// Restartable sequences as the C library registers them: still registered (the kernel fills in the processor), in all
// threads, and a section that is left in the middle is started again, never gone on with.
// live-cases: registered section
#include <linux/rseq.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/rseq.h>

#include "target.h"

static struct rseq* my_rseq(void) { return (struct rseq*)((char*)__builtin_thread_pointer() + __rseq_offset); }

static void check_registered(void) {
  if (__rseq_size == 0) skip("the C library has not registered rseq");
  int seen = 0;
  for (int tries = 0; tries < 1000 && !seen; tries++) {
    unsigned before = *(volatile unsigned*)&my_rseq()->cpu_id;
    seen = (int)before == sched_getcpu() && before == *(volatile unsigned*)&my_rseq()->cpu_id;
  }
  CHECK(seen, "rseq says processor %u, the kernel %d", my_rseq()->cpu_id, sched_getcpu());
  // A second registration of the same memory is refused as such: it is registered.
  long again = syscall(SYS_rseq, my_rseq(), 32, 0, RSEQ_SIG);
  CHECK(again == -1 && errno == EBUSY, "rseq returned %ld, errno %d", again, errno);
}

static atomic_int running;
static void* worker(void* unused) {
  check_registered();
  running++;
  wait_go();
  check_registered();
  for (int cpu = 0; cpu < 2; cpu++) {  // moved by hand, it must follow
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) SAME(my_rseq()->cpu_id, cpu);
  }
  return unused;
}

static void registered(void) {
  pthread_t threads[3];
  check_registered();
  for (int i = 0; i < 3; i++) threads[i] = thread(worker, NULL);
  while (running < 3) pause_ms(1);
  ready();
  wait_go();
  check_registered();
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static volatile int stop;
static volatile long started, finished, aborted;

static void* watcher(void* unused) {
  ready();
  wait_go();
  stop = 1;
  return unused;
}

// A section of some thousand instructions, so that the freeze falls into one. Begun = ended + aborted, if no section
// that was interrupted was gone on with after its descriptor had been taken away. The count that the section itself
// keeps in a register tells: it is begun anew each time.
static void section(void) {
  if (__rseq_size == 0) skip("the C library has not registered rseq");
  check_registered();
  thread(watcher, NULL);
  while (!stop) {
    started++;
    long steps = 0;
    asm volatile goto(
        ".pushsection .data.rseq_cs, \"aw\"\n"
        ".balign 32\n"
        "9: .long 0, 0; .quad 1f, 2f - 1f, 4f\n"
        ".popsection\n"
        "lea 9b(%%rip), %%rax\n"
        "mov %%rax, %[cs]\n"
        "1: mov $200000, %%ecx\n"
        "3: inc %[steps]; dec %%ecx; jnz 3b\n"
        "2:\n"
        ".pushsection .text.rseq_abort, \"ax\"\n"
        ".byte 0x0f, 0xb9, 0x3d; .long 0x53053053\n"
        "4: jmp %l[abort]\n"
        ".popsection\n"
        : [steps] "+r"(steps), [cs] "=m"(my_rseq()->rseq_cs)
        :
        : "rax", "rcx", "memory", "cc"
        : abort);
    SAME(steps, 200000);
    finished++;
    continue;
  abort:
    aborted++;
  }
  SAME(started, finished + aborted);
  CHECK(finished > 0, "no section ended");
}

static const struct live_case cases[] = {{"registered", registered}, {"section", section}};
RUN_CASES(cases)
