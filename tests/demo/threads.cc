// Four threads relax a field of numbers in step with each other: each computes its part of the next field out of the
// last one, a barrier, the fields change roles. After every step the first thread appends a checksum to `sums`; at the
// end the field is written to `final`. Integers only: every run gives the same bytes, however the threads are
// scheduled.
//
// usage: threads START_LOG STEPS     START_LOG gets one line "start" when, and only when, the program starts anew.
#include <barrier>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

namespace {

constexpr size_t kThreads = 4;
constexpr size_t kCells = size_t{1} << 20;
constexpr int kRounds = 3;

using Field = std::vector<uint64_t>;

uint64_t Mix(uint64_t left, uint64_t middle, uint64_t right) {
  uint64_t value = left * 0x9E3779B97F4A7C15U + (middle ^ (right >> 7));
  for (int round = 0; round < kRounds; ++round) {
    value ^= value >> 29;
    value *= 0xBF58476D1CE4E5B9U;
  }
  return value ^ (value >> 32);
}

void ComputePart(const Field& last, Field& next, size_t part) {
  const size_t end = kCells / kThreads * (part + 1);
  for (size_t i = kCells / kThreads * part; i < end; ++i) {
    next[i] = Mix(last[(i + kCells - 1) % kCells], last[i], last[(i + 1) % kCells]);
  }
}

uint64_t SumOf(const Field& field) {
  uint64_t sum = 0;
  for (const uint64_t cell : field) sum = sum * 31 + cell;
  return sum;
}

void Run(int steps) {
  Field fields[2] = {Field(kCells), Field(kCells)};
  for (size_t i = 0; i < kCells; ++i) fields[0][i] = i * i + 2026;
  std::ofstream sums("sums", std::ios::app);
  std::barrier computed(kThreads);
  std::vector<std::thread> threads;
  for (size_t part = 0; part < kThreads; ++part) {
    threads.emplace_back([&, part] {
      for (int step = 1; step <= steps; ++step) {
        ComputePart(fields[(step - 1) % 2], fields[step % 2], part);
        computed.arrive_and_wait();
        if (part == 0) {
          sums << step << ' ' << SumOf(fields[step % 2]) << std::endl;
          if (step % 50 == 0) std::cout << "step " << step << std::endl;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::ofstream final("final", std::ios::binary);
  final.write(reinterpret_cast<const char*>(fields[steps % 2].data()), kCells * sizeof(uint64_t));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: threads START_LOG STEPS\n";
    return 2;
  }
  std::ofstream(argv[1], std::ios::app) << "start" << std::endl;
  Run(std::atoi(argv[2]));
  std::cout << "done" << std::endl;
  return 0;
}
