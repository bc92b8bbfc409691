#include "proc/mountinfo.h"

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::DecodeOctalEscapes;
using proc_text::Scanner;

// The next field; fields are parted by exactly one blank, so that an empty source is seen as one.
bool Field(Scanner* scanner, std::string* field) {
  std::string_view part;
  if (!scanner->Until(' ', &part)) return false;
  *field = DecodeOctalEscapes(part);
  return true;
}

bool ParseHead(Scanner* scanner, MountInfo* mount) {
  return scanner->Number(&mount->mount_id) && scanner->Literal(" ") && scanner->Number(&mount->parent_id) &&
         scanner->Literal(" ") && scanner->Number(&mount->dev_major) && scanner->Literal(":") &&
         scanner->Number(&mount->dev_minor) && scanner->Literal(" ") && Field(scanner, &mount->root) &&
         Field(scanner, &mount->mount_point) && Field(scanner, &mount->options);
}

bool ParseOptionalFields(Scanner* scanner, MountInfo* mount) {
  std::string_view part;
  while (scanner->Until(' ', &part)) {
    if (part == "-") return true;
    mount->optional_fields.emplace_back(part);
  }
  return false;
}

}  // namespace

Result<std::vector<MountInfo>> ParseMountInfo(std::string_view text) {
  std::vector<MountInfo> mounts;
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    MountInfo& mount = mounts.emplace_back();
    Scanner scanner(line);
    if (!ParseHead(&scanner, &mount) || !ParseOptionalFields(&scanner, &mount) || !Field(&scanner, &mount.fs_type) ||
        !Field(&scanner, &mount.source)) {
      return CorruptLine("not a line of mountinfo", line);
    }
    mount.super_options = scanner.rest();
  }
  return mounts;
}

}  // namespace baton
