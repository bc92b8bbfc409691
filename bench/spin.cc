// What bench/engine.py saves and restores: memory that does not compress, touched at 1 % a second, and a thread that
// does nothing but look at the clock and remember the largest gap it saw.
//
// usage: spin MIB     (standard output: a file)
// Prints READY once the memory is filled. SIGUSR1: prints "gap NS sum HEX errors N" and forgets the gap; the sum is
// over all pages, so that it also shows that all of the memory is there.
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <thread>

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kWordsPerPage = kPage / sizeof(uint64_t);

std::atomic<uint64_t> largest_gap_ns{0};

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

[[noreturn]] void Spin() {
  uint64_t last = NowNs();
  for (;;) {
    const uint64_t now = NowNs();
    if (now - last > largest_gap_ns.load(std::memory_order_relaxed)) largest_gap_ns = now - last;
    last = now;
  }
}

uint64_t Mixed(uint64_t value) {
  value ^= value >> 31;
  value *= 0x9E3779B97F4A7C15U;
  return value ^ (value >> 29);
}

void Fill(uint64_t* memory, uint64_t words) {
  for (uint64_t i = 0; i < words; ++i) memory[i] = Mixed(i + 1);
}

// Word 0 of a page is the counter of its touches; the others stay as they were filled.
uint64_t Check(const uint64_t* memory, uint64_t words, uint64_t* errors) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < words; ++i) {
    if (i % kWordsPerPage != 0) {
      *errors += memory[i] != Mixed(i + 1) ? 1 : 0;
    }
    sum += memory[i];
  }
  return sum;
}

void Report(const uint64_t* memory, uint64_t words) {
  const uint64_t gap = largest_gap_ns.exchange(0);
  uint64_t errors = 0;
  const uint64_t sum = Check(memory, words, &errors);
  printf("gap %llu sum %llx errors %llu\n", static_cast<unsigned long long>(gap), static_cast<unsigned long long>(sum),
         static_cast<unsigned long long>(errors));
  fflush(stdout);
  largest_gap_ns = 0;
}

[[noreturn]] void Serve(uint64_t* memory, uint64_t pages, const sigset_t& asked) {
  const timespec tick{.tv_sec = 0, .tv_nsec = 100'000'000};
  uint64_t next = 0;
  for (;;) {
    if (sigtimedwait(&asked, nullptr, &tick) == SIGUSR1) Report(memory, pages * kWordsPerPage);
    for (uint64_t i = 0; i < pages / 1000 + 1; ++i) ++memory[next++ % pages * kWordsPerPage];
  }
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t bytes = (argc == 2 ? strtoull(argv[1], nullptr, 10) : 0) << 20;
  if (bytes == 0) {
    fputs("usage: spin MIB\n", stderr);
    return 2;
  }
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    return 1;
  }
  auto* words = static_cast<uint64_t*>(memory);
  Fill(words, bytes / sizeof(uint64_t));
  sigset_t asked;
  sigemptyset(&asked);
  sigaddset(&asked, SIGUSR1);
  sigprocmask(SIG_BLOCK, &asked, nullptr);
  std::thread(Spin).detach();
  puts("READY");
  fflush(stdout);
  Serve(words, bytes / kPage, asked);
}
