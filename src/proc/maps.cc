#include "proc/maps.h"

#include <algorithm>

#include "proc/text.h"

namespace baton {

namespace {

using proc_text::CorruptLine;
using proc_text::Scanner;

constexpr std::string_view kDeleted = " (deleted)";

// "rwxp": each place holds its letter or '-', the last one 'p' or 's'.
bool ParsePermissions(std::string_view text, MapsEntry* entry) {
  constexpr std::string_view kLetters = "rwx";
  if (text.size() != 4) return false;
  for (size_t i = 0; i < kLetters.size(); ++i) {
    if (text[i] != kLetters[i] && text[i] != '-') return false;
  }
  if (text[3] != 'p' && text[3] != 's') return false;
  entry->read = text[0] == 'r';
  entry->write = text[1] == 'w';
  entry->exec = text[2] == 'x';
  entry->shared = text[3] == 's';
  return true;
}

// Only the newline is escaped in this file (show_map_vma() gives seq_path() the set "\n"), so nothing else is decoded.
std::string DecodeNewlines(std::string_view text) {
  constexpr std::string_view kEscape = "\\012";
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t found = text.find(kEscape); found != std::string_view::npos; found = text.find(kEscape)) {
    decoded += text.substr(0, found);
    decoded += '\n';
    text.remove_prefix(found + kEscape.size());
  }
  decoded += text;
  return decoded;
}

bool ParseNumbers(Scanner* scanner, MapsEntry* entry) {
  return scanner->Number(&entry->start, 16) && scanner->Literal("-") && scanner->Number(&entry->end, 16) &&
         scanner->Literal(" ") && ParsePermissions(scanner->Word(), entry) && scanner->Literal(" ") &&
         scanner->Number(&entry->offset, 16) && scanner->Literal(" ") && scanner->Number(&entry->dev_major, 16) &&
         scanner->Literal(":") && scanner->Number(&entry->dev_minor, 16) && scanner->WordNumber(&entry->inode);
}

}  // namespace

Result<MapsEntry> ParseMapsLine(std::string_view line) {
  MapsEntry entry;
  Scanner scanner(line);
  if (!ParseNumbers(&scanner, &entry)) return CorruptLine("not a line of a memory map", line);
  if (entry.start >= entry.end) return CorruptLine("mapping that ends before it starts", line);
  scanner.SkipBlanks();
  std::string_view path = scanner.rest();
  entry.deleted = proc_text::StripSuffix(kDeleted, &path);
  entry.path = DecodeNewlines(path);
  return entry;
}

Result<std::vector<MapsEntry>> ParseMaps(std::string_view text) {
  std::vector<MapsEntry> entries;
  entries.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')));
  std::string_view line;
  while (proc_text::NextLine(&text, &line)) {
    BATON_TRY(MapsEntry entry, ParseMapsLine(line));
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace baton
