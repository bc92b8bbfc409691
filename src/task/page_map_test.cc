#include "task/page_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace baton {
namespace {

constexpr uint64_t kPage = 4096;

// Linux (6.7 to 6.18 at least) says a wrong end of the walk when it found more than 512 ranges and less than it had
// room for: scanning on from there gives ranges twice.
TEST(PageMap, ManyRangesAreGivenOnce) {
  for (const size_t ranges : {1U, 511U, 512U, 513U, 700U, 1024U, 5000U}) {
    const size_t bytes = 2 * ranges * kPage;
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    ASSERT_EQ(madvise(memory, bytes, MADV_NOHUGEPAGE), 0);
    std::vector<PageRange> expected;
    const auto start = reinterpret_cast<uint64_t>(memory);
    for (size_t i = 0; i < ranges; ++i) {
      static_cast<char*>(memory)[2 * i * kPage] = 'x';
      expected.push_back({start + 2 * i * kPage, start + (2 * i + 1) * kPage});
    }
    const auto map = PageMap::Open(getpid());
    ASSERT_TRUE(map) << map.error().ToString();
    const auto found = map->Scan(start, start + bytes, PageMap::Want::kPrivate);
    ASSERT_TRUE(found) << found.error().ToString();
    EXPECT_EQ(*found, expected) << ranges << " ranges";
    munmap(memory, bytes);
  }
}

}  // namespace
}  // namespace baton
