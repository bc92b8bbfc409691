// Threads that hand a token round with mutexes and condition variables, each adding to it; statically linked.
// usage: ring ROUNDS
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kThreads = 6, kWork = 20000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static uint64_t token = 7;
static long turn, last;
static _Thread_local uint64_t own;

static void* run(void* argument) {
  const long number = (long)argument;
  own = (uint64_t)number;
  for (long at = number; at < last; at += kThreads) {
    uint64_t x = own + (uint64_t)at;
    for (int i = 0; i < kWork; i++) x = (x ^ (x >> 31)) * 0x9fb21c651e98df25ull + (uint64_t)i;
    own ^= x;
    pthread_mutex_lock(&lock);
    while (turn != at) pthread_cond_wait(&turned, &lock);
    token = token * 31 + own;
    turn++;
    if (turn % 2000 == 0) printf("turn %ld: %016llx\n", turn, (unsigned long long)token);
    pthread_cond_broadcast(&turned);
    pthread_mutex_unlock(&lock);
  }
  return NULL;
}

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  last = atol(argv[1]) * kThreads;
  pthread_t threads[kThreads];
  for (long i = 0; i < kThreads; i++) {
    if (pthread_create(&threads[i], NULL, run, (void*)i) != 0) return 2;
  }
  for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
  FILE* file = fopen("token.txt", "w");
  if (!file) return 3;
  fprintf(file, "%016llx\n", (unsigned long long)token);
  return fclose(file);
}
