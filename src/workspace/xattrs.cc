#include "workspace/xattrs.h"

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace baton {
namespace {

constexpr std::string_view kUser = "user.";

// What a call of the "tell the size first" kind returns, however it grows between the two calls.
template <typename Call>
Result<std::string> ReadSized(Call call, std::string_view what) {
  while (true) {
    const ssize_t size = call(nullptr, size_t{0});
    if (const int error = errno; size < 0) return ErrnoError(error, "{}", what);
    std::string text(static_cast<size_t>(size), '\0');
    if (size == 0) return text;
    const ssize_t got = call(text.data(), text.size());
    const int error = errno;
    if (got < 0 && error == ERANGE) continue;
    if (got < 0) return ErrnoError(error, "{}", what);
    text.resize(static_cast<size_t>(got));
    return text;
  }
}

}  // namespace

Result<Xattrs> ReadXattrs(int fd) {
  auto names = ReadSized([&](char* to, size_t size) { return flistxattr(fd, to, size); }, "list extended attributes");
  if (!names && names.error().code() == ErrorCode::kNotSupported) return Xattrs{};
  if (!names) return names.Fail();
  Xattrs xattrs;
  for (size_t at = 0; at < names->size();) {
    const std::string name = names->c_str() + at;
    at += name.size() + 1;
    if (!name.starts_with(kUser)) continue;
    auto value = ReadSized([&](char* to, size_t size) { return fgetxattr(fd, name.c_str(), to, size); },
                           "read attribute " + name);
    if (!value && value.error().saved_errno() == ENODATA) continue;  // removed meanwhile
    if (!value) return value.Fail();
    xattrs.emplace_back(name, std::move(*value));
  }
  std::ranges::sort(xattrs);
  return xattrs;
}

Result<> WriteXattrs(int fd, const Xattrs& xattrs) {
  BATON_TRY(const Xattrs present, ReadXattrs(fd));
  if (present == xattrs) return {};
  for (const auto& [name, value] : present) {
    if (std::ranges::find(xattrs, name, &Xattrs::value_type::first) != xattrs.end()) continue;
    const int failed = fremovexattr(fd, name.c_str());
    if (const int error = errno; failed != 0) return ErrnoError(error, "remove attribute {}", name);
  }
  for (const auto& [name, value] : xattrs) {
    const int failed = fsetxattr(fd, name.c_str(), value.data(), value.size(), 0);
    if (const int error = errno; failed != 0) return ErrnoError(error, "set attribute {}", name);
  }
  return {};
}

}  // namespace baton
