// BATON_CHECK: for our own bugs only, kept on in release. Nothing that a target, an image, a peer, the user or the
// kernel does may trip one; that is what Result is for.
#pragma once

namespace baton {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}

#define BATON_CHECK(condition)                              \
  do {                                                      \
    if (!(condition)) [[unlikely]]                          \
      ::baton::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (0)
