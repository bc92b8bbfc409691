// A chain of mixing steps in a table larger than the caches, statically linked; its state is written now and then.
// usage: chain STEPS
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kTable = 1 << 20 };
static uint64_t table[kTable];

static uint64_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  return x ^ (x >> 29);
}

int main(int argc, char** argv) {
  uint64_t state = 42;
  FILE* log = fopen("chain.log", "a");
  if (!log || argc != 2) return 1;
  for (int step = 0; step < atoi(argv[1]); step++) {
    for (uint64_t i = 0; i < kTable; i++) {
      state = mix(state + i);
      table[state % kTable] += state;
    }
    fprintf(log, "%d %016llx\n", step, (unsigned long long)state);
    if (step % 50 == 0) printf("step %d\n", step);
  }
  fclose(log);
  printf("%016llx\n", (unsigned long long)(state ^ table[state % kTable]));
  return 0;
}
