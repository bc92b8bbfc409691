// Registers held over the checkpoint by a loop in assembler that touches nothing else: it ends when memory says so.
// live-cases: general sse avx avx512 x87 mxcsr flags
#include <cpuid.h>
#include <stdatomic.h>

#include "target.h"

static volatile int stop;  // set by a second thread when it sees go

static void* watcher(void* unused) {
  ready();
  wait_go();
  stop = 1;
  return unused;
}

static unsigned char in[32 * 64], out[32 * 64];
static uint64_t masks_in[8], masks_out[8];

static void prepare(void) {
  fill(in, sizeof in, 77);
  fill(masks_in, sizeof masks_in, 78);
  thread(watcher, NULL);
}
static void compare(int count, int size, int stride) {
  for (int i = 0; i < count; i++) CHECK(!memcmp(in + i * stride, out + i * stride, (size_t)size), "register %d", i);
}

#define WAIT_LOOP "1: pause; cmpl $0, (%[stop]); je 1b\n"

static void general(void) {
  prepare();
  uint64_t* from = (uint64_t*)in;
  uint64_t* to = (uint64_t*)out;
  for (int i = 0; i < 9; i++) to[i] = 0;
  asm volatile(
      "mov 0(%[in]), %%rax; mov 8(%[in]), %%rbx; mov 16(%[in]), %%rcx; mov 24(%[in]), %%rdx\n"
      "mov 32(%[in]), %%r8; mov 40(%[in]), %%r9; mov 48(%[in]), %%r10; mov 56(%[in]), %%r11\n"
      "mov 64(%[in]), %%r12\n" WAIT_LOOP
      "mov %%rax, 0(%[out]); mov %%rbx, 8(%[out]); mov %%rcx, 16(%[out]); mov %%rdx, 24(%[out])\n"
      "mov %%r8, 32(%[out]); mov %%r9, 40(%[out]); mov %%r10, 48(%[out]); mov %%r11, 56(%[out])\n"
      "mov %%r12, 64(%[out])\n" ::[in] "S"(from),
      [out] "D"(to), [stop] "r"(&stop)
      : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "memory", "cc");
  compare(9, 8, 8);
}

#define EACH16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define HIGH16(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define LOAD_XMM(n) "movdqu 64*" #n "(%[in]), %%xmm" #n "\n"
#define SAVE_XMM(n) "movdqu %%xmm" #n ", 64*" #n "(%[out])\n"
#define LOAD_YMM(n) "vmovdqu 64*" #n "(%[in]), %%ymm" #n "\n"
#define SAVE_YMM(n) "vmovdqu %%ymm" #n ", 64*" #n "(%[out])\n"
#define LOAD_ZMM(n) "vmovdqu64 64*" #n "(%[in]), %%zmm" #n "\n"
#define SAVE_ZMM(n) "vmovdqu64 %%zmm" #n ", 64*" #n "(%[out])\n"
#define OPERANDS ::[in] "r"(in), [out] "r"(out), [stop] "r"(&stop) : "memory", "cc"
#define XMM_LIST(n) , "xmm" #n

static void sse(void) {
  prepare();
  asm volatile(EACH16(LOAD_XMM) WAIT_LOOP EACH16(SAVE_XMM) OPERANDS EACH16(XMM_LIST));
  compare(16, 16, 64);
}

static void avx(void) {
  if (!__builtin_cpu_supports("avx")) skip("no AVX");
  prepare();
  asm volatile(EACH16(LOAD_YMM) WAIT_LOOP EACH16(SAVE_YMM) "vzeroupper\n" OPERANDS EACH16(XMM_LIST));
  compare(16, 32, 64);
}

static void avx512(void) {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw")) skip("no AVX-512");
  prepare();
#define LOAD_MASK(n) "kmovq 8*" #n "(%[min]), %%k" #n "\n"
#define SAVE_MASK(n) "kmovq %%k" #n ", 8*" #n "(%[mout])\n"
#define EACH7(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
  asm volatile(EACH16(LOAD_ZMM) HIGH16(LOAD_ZMM) EACH7(LOAD_MASK) WAIT_LOOP EACH16(SAVE_ZMM) HIGH16(SAVE_ZMM)
                   EACH7(SAVE_MASK) "vzeroupper\n" ::[in] "r"(in),
               [out] "r"(out), [stop] "r"(&stop), [min] "r"(masks_in), [mout] "r"(masks_out)
               : "memory", "cc" EACH16(XMM_LIST));
  compare(32, 64, 64);
  for (int i = 1; i < 8; i++) CHECK(masks_in[i] == masks_out[i], "k%d is 0x%llx", i, (long long)masks_out[i]);
}

static void x87(void) {
  prepare();
  unsigned short control_in = 0x0f7f, control_out = 0;  // rounds towards zero
  long double seen[3];
  asm volatile(
      "fninit; fldcw %[cin]; fldpi; fldl2e; fld1\n" WAIT_LOOP
      "fnstcw %[cout]; fstpt (%[seen]); fstpt 16(%[seen]); fstpt 32(%[seen]); fninit\n" ::[cin] "m"(control_in),
      [cout] "m"(control_out), [seen] "r"(seen), [stop] "r"(&stop)
      : "memory", "cc", "st", "st(1)", "st(2)");
  SAME(control_out & 0x0f3f, 0x0f3f);
  CHECK(seen[0] == 1.0L && seen[1] > 1.44269504L && seen[1] < 1.44269505L && seen[2] > 3.14159265L &&
            seen[2] < 3.14159266L,
        "%Lf %Lf %Lf", seen[0], seen[1], seen[2]);
}

static void mxcsr(void) {
  prepare();
  unsigned set = 0xff80, seen = 0, normal = 0x1f80;  // round towards zero, flush to zero
  asm volatile("ldmxcsr %[set]\n" WAIT_LOOP "stmxcsr %[seen]; ldmxcsr %[normal]\n" ::[set] "m"(set), [seen] "m"(seen),
               [normal] "m"(normal), [stop] "r"(&stop)
               : "memory", "cc");
  SAME(seen, set);
}

// Carry and direction survive; the loop itself must not touch them.
static void flags(void) {
  prepare();
  unsigned long seen = 0, count = 0;
  asm volatile(
      "sub $136, %%rsp; std; stc\n"
      "1: pause; movl (%[stop]), %%ecx; jecxz 1b\n"
      "pushfq; popq %[seen]; cld; add $136, %%rsp\n"
      : [seen] "=&r"(seen), "+a"(count)
      : [stop] "r"(&stop)
      : "memory", "cc", "rcx");
  SAME(seen & 0x401, 0x401);
}

static const struct live_case cases[] = {{"general", general}, {"sse", sse},     {"avx", avx},    {"avx512", avx512},
                                         {"x87", x87},         {"mxcsr", mxcsr}, {"flags", flags}};
RUN_CASES(cases)
