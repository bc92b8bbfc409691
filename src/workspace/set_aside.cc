#include "workspace/set_aside.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "workspace/directory.h"
#include "workspace/manifest.h"

namespace baton {
namespace {

constexpr int kMostFolders = 100000;

// The directory `path` below `fd`, with all on the way to it made if missing.
Result<UniqueFd> MakeAndOpen(int fd, const std::string& path) {
  for (size_t slash = 0; !path.empty() && slash != std::string::npos;) {
    slash = path.find('/', slash + 1);
    const std::string part = path.substr(0, slash);
    const int failed = mkdirat(fd, part.c_str(), 0700);
    if (const int error = errno; failed != 0 && error != EEXIST) return ErrnoError(error, "make {}", part);
  }
  return OpenBeneath(fd, path, O_RDONLY | O_DIRECTORY);
}

}  // namespace

SetAside::SetAside(int root_fd, std::string root_path, const std::string& root_name, const std::string& chosen_dir)
    : root_fd_(root_fd), root_path_(std::move(root_path)) {
  while (root_path_.size() > 1 && root_path_.ends_with('/')) root_path_.pop_back();
  const bool chosen = !chosen_dir.empty();
  wanted_parent_ = chosen ? chosen_dir : std::string(ParentOf(root_path_)) + "/";
  wanted_prefix_ = chosen ? root_name + "-" : std::string(BaseOf(root_path_)) + ".set-aside-";
}

Result<> SetAside::MakeNumbered(int parent_fd, const std::string& parent_path, const std::string& prefix) {
  for (int number = 1; number < kMostFolders; ++number) {
    const std::string name = fmt::format("{}{}", prefix, number);
    const int failed = mkdirat(parent_fd, name.c_str(), 0700);
    const int error = errno;
    if (failed != 0 && error == EEXIST) continue;
    if (failed != 0) return ErrnoError(error, "make {}/{}", parent_path, name);
    BATON_TRY(UniqueFd fd, OpenFileAt(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    fd_.emplace(std::move(fd));
    folder_ = fmt::format("{}{}{}", parent_path, parent_path.ends_with('/') ? "" : "/", name);
    return {};
  }
  return MakeError(ErrorCode::kConflict, "too many {}* folders in {}; remove some", prefix, parent_path);
}

Result<> SetAside::MakeFolder() {
  // A root "/" or a parent that is not ours: FallBack.
  const auto wanted = [&]() -> Result<> {
    BATON_CHECKED(MakeDirectories(wanted_parent_));
    BATON_TRY(const UniqueFd parent, OpenFile(wanted_parent_, O_RDONLY | O_DIRECTORY));
    return MakeNumbered(parent.get(), wanted_parent_, wanted_prefix_);
  };
  return wanted() ? Result<>() : FallBack();
}

Result<> SetAside::FallBack() {
  BATON_CHECKED(MakeWritable(root_fd_));
  return MakeNumbered(root_fd_, root_path_, std::string(kSetAsidePrefix));
}

Result<> SetAside::TryMove(const std::string& path) {
  BATON_TRY(const UniqueFd from, OpenBeneath(root_fd_, std::string(ParentOf(path)), O_RDONLY | O_DIRECTORY));
  BATON_CHECKED(MakeWritable(from.get()));
  BATON_TRY(const UniqueFd to, MakeAndOpen(fd_->get(), std::string(ParentOf(path))));
  const std::string name(BaseOf(path));
  // A directory is written to when it gets another parent (its ".."), so it must be writable itself.
  if (auto moving = OpenBeneath(root_fd_, path, O_RDONLY | O_DIRECTORY); moving) {
    BATON_CHECKED(MakeWritable(moving->get()));
  }
  const int failed = renameat(from.get(), name.c_str(), to.get(), name.c_str());
  if (const int error = errno; failed != 0) return ErrnoError(error, "move {}/{} to {}", root_path_, path, folder_);
  return {};
}

Result<> SetAside::Move(const std::string& path) {
  if (!fd_) BATON_CHECKED(MakeFolder());
  auto moved = TryMove(path);
  if (!moved && moved.error().saved_errno() == EXDEV && moved_ == 0) {
    // The folder beside the root is on another file system. Only our own empty directories are in it.
    BATON_TRY(const UniqueFd parent, OpenFile(std::string(ParentOf(folder_)) + "/", O_RDONLY | O_DIRECTORY));
    BATON_CHECKED(RemoveTree(parent.get(), std::string(BaseOf(folder_))));
    BATON_CHECKED(FallBack());
    moved = TryMove(path);
  }
  if (!moved) return moved;
  ++moved_;
  return {};
}

Result<> MakeWritable(int dir_fd) {
  struct stat status{};
  const int failed = fstat(dir_fd, &status);
  if (const int error = errno; failed != 0) return ErrnoError(error, "look at a directory");
  if ((status.st_mode & S_IRWXU) == S_IRWXU) return {};
  const int refused = fchmod(dir_fd, (status.st_mode & 07777) | S_IRWXU);
  // Not ours: whether it can be written shows at the next step.
  if (const int error = errno; refused != 0 && error != EPERM) return ErrnoError(error, "make a directory writable");
  return {};
}

}  // namespace baton
