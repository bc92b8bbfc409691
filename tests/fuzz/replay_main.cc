// Replays a fuzz target without libFuzzer: NAME_replay SEED_FOLDER ROUNDS [DICTIONARY]
//
// Every seed as it is (ok-* must be accepted, bad-* refused), then ROUNDS mutations of them, the same in every run. An
// input that breaks a promise is written to the file `broken-input` in the current folder; give its name instead of
// SEED_FOLDER to try it alone.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "fuzz_target.h"
#include "mutator.h"

namespace baton {
namespace {

constexpr uint64_t kSeriesNumber = 20261121;

struct Seed {
  std::string name;
  std::string content;
};

// The input in work, for the signal handler only.
const char* current_data = nullptr;
size_t current_size = 0;

void SaveCurrentAndDie(int signal) {
  const int fd = open("broken-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  constexpr std::string_view kMessage = "the input that did it is in the file broken-input\n";
  if (fd >= 0 && write(fd, current_data, current_size) == static_cast<ssize_t>(current_size)) {
    (void)!write(STDERR_FILENO, kMessage.data(), kMessage.size());
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

Result<> RunOne(std::string_view input) {
  const auto exact = std::make_unique<char[]>(input.size());
  std::ranges::copy(input, exact.get());
  current_data = exact.get();
  current_size = input.size();
  const Result<> outcome = FuzzOne({exact.get(), input.size()});
  CheckAnswer(outcome);
  return outcome;
}

Result<std::vector<Seed>> LoadSeeds(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) files.push_back(entry.path().string());
  if (error) files = {path};
  std::ranges::sort(files);
  std::vector<Seed> seeds;
  for (const std::string& file : files) {
    BATON_TRY(std::string content, ReadFile(file));
    seeds.push_back({std::filesystem::path(file).filename().string(), std::move(content)});
  }
  return seeds;
}

// The words of a libFuzzer dictionary: `name="word"` lines, with \xNN, \\ and \" decoded.
std::vector<std::string> WordsOf(std::string_view dictionary) {
  std::vector<std::string> words;
  while (!dictionary.empty()) {
    const std::string_view line = dictionary.substr(0, dictionary.find('\n'));
    dictionary.remove_prefix(std::min(line.size() + 1, dictionary.size()));
    const size_t first = line.find('"');
    const size_t last = line.rfind('"');
    if (line.starts_with('#') || first == last) continue;
    std::string word;
    for (size_t i = first + 1; i < last; ++i) {
      unsigned byte = 0;
      const bool escaped = line[i] == '\\';
      if (escaped) ++i;
      if (escaped && line[i] == 'x' && std::from_chars(&line[i + 1], &line[last], byte, 16).ec == std::errc()) {
        word += static_cast<char>(byte);
        i += 2;
      } else {
        word += line[i];
      }
    }
    words.push_back(std::move(word));
  }
  return words;
}

// Whether every seed is answered as its name says.
bool ReplaySeeds(const std::vector<Seed>& seeds) {
  bool all_right = true;
  for (const Seed& seed : seeds) {
    const Result<> outcome = RunOne(seed.content);
    const bool wrong = (outcome && seed.name.starts_with("bad-")) || (!outcome && seed.name.starts_with("ok-"));
    if (!wrong) continue;
    all_right = false;
    std::fprintf(stderr, "%s: %s\n", seed.name.c_str(), outcome ? "accepted" : outcome.error().ToString().c_str());
  }
  return all_right;
}

int Replay(const std::string& seed_path, int rounds, const std::string& dictionary) {
  const auto seeds = LoadSeeds(seed_path);
  const auto words = dictionary.empty() ? Result<std::string>("") : ReadFile(dictionary);
  if (!seeds || seeds->empty() || !words) {
    std::fprintf(stderr, "no seeds at %s, or no dictionary %s\n", seed_path.c_str(), dictionary.c_str());
    return 2;
  }
  const bool seeds_right = ReplaySeeds(*seeds);
  std::vector<std::string> contents;
  for (const Seed& seed : *seeds) contents.push_back(seed.content);
  Mutator mutator(kSeriesNumber, std::move(contents), WordsOf(*words));
  int accepted = 0;
  for (int i = 0; i < rounds; ++i) {
    if (RunOne(mutator.Next())) ++accepted;
  }
  std::printf("%zu seeds, %d mutations: %d accepted, %d refused\n", seeds->size(), rounds, accepted, rounds - accepted);
  return seeds_right ? 0 : 1;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  int rounds = 0;
  if (argc < 3 || std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), rounds).ec != std::errc()) {
    std::fprintf(stderr, "usage: %s SEED_FOLDER ROUNDS [DICTIONARY]\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, baton::SaveCurrentAndDie);
  return baton::Replay(argv[1], rounds, argc > 3 ? argv[3] : "");
}
