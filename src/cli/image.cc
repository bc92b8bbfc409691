// baton image show|verify DIR: what is in an image, without restoring it; whether it is whole.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "cli/command.h"
#include "cli/format.h"
#include "engine/native/native.pb.h"
#include "engine/native/record_names.h"
#include "engine/native/sysv_record.h"
#include "image/reader.h"
#include "resource/kind.h"

namespace baton {
namespace {

struct ImageFlags {
  std::string directory;
  OutputFormat format = OutputFormat::kTable;
};

// An image's records as far as this Baton knows them.
struct Content {
  pb::UnitRecord unit;
  std::vector<pb::ProcessRecord> processes;
  std::map<uint32_t, pb::OpenFileRecord> files;
  std::optional<pb::SysvRecord> sysv;
  std::map<std::string, size_t> record_counts;
};

template <typename Message>
Result<Message> Parse(const Record& record) {
  Message message;
  if (message.ParseFromString(record.payload)) return message;
  return MakeError(ErrorCode::kCorrupt, "a record of kind '{}' cannot be read", record.kind);
}

Result<Content> ReadContent(const ImageReader& image) {
  Content content;
  for (const Record& record : image.records()) {
    ++content.record_counts[record.kind];
    if (record.kind == kUnitRecord) {
      BATON_TRY(content.unit, Parse<pb::UnitRecord>(record));
    } else if (record.kind == kProcessRecord) {
      BATON_TRY(pb::ProcessRecord process, Parse<pb::ProcessRecord>(record));
      content.processes.push_back(std::move(process));
    } else if (record.kind == kOpenFileRecord) {
      BATON_TRY(pb::OpenFileRecord file, Parse<pb::OpenFileRecord>(record));
      const uint32_t id = file.id();
      content.files[id] = std::move(file);
    } else if (record.kind == kSysvRecord) {
      BATON_TRY(content.sysv, Parse<pb::SysvRecord>(record));
    }
  }
  return content;
}

struct PageCounts {
  uint64_t stored = 0;  // bytes
  uint64_t zero = 0;
};

PageCounts PagesOf(const ImageReader& image) {
  PageCounts counts;
  for (const auto& [name, runs] : image.spaces()) {
    for (const Run& run : runs) (run.kind == RunKind::kData ? counts.stored : counts.zero) += run.bytes();
  }
  return counts;
}

std::string CommandOf(const pb::ProcessRecord& process) {
  if (!process.comm().empty()) return process.comm();
  return process.threads().empty() ? "?" : process.threads(0).name();
}

uint64_t MappedBytes(const pb::ProcessRecord& process) {
  uint64_t bytes = 0;
  for (const pb::MappingRecord& mapping : process.mappings()) bytes += mapping.bytes();
  return bytes;
}

// One line for an open file; a record that its kind cannot read is shown as such, not hidden.
std::string DescribeFile(const Content& content, uint32_t id) {
  const auto found = content.files.find(id);
  if (found == content.files.end()) return "missing";
  const pb::OpenFileRecord& file = found->second;
  if (!file.external().empty()) return "external " + file.external();
  const ResourceKind* kind = FindKind(file.kind());
  if (kind == nullptr) return fmt::format("{}: a kind that this Baton does not know", file.kind());
  const auto described = kind->Describe(file.payload());
  return fmt::format("{}: {}", file.kind(), described ? *described : described.error().ToString());
}

std::string StateOf(const pb::ProcessRecord& process) {
  if (process.zombie()) return "zombie";
  return process.stopped() ? "stopped" : "running";
}

nlohmann::json ProcessJson(const Content& content, const pb::ProcessRecord& process) {
  nlohmann::json descriptors = nlohmann::json::array();
  for (const pb::DescriptorRecord& descriptor : process.descriptors()) {
    descriptors.push_back({{"fd", descriptor.fd()},
                           {"close_on_exec", descriptor.close_on_exec()},
                           {"open_file", descriptor.open_file()},
                           {"what", DescribeFile(content, descriptor.open_file())}});
  }
  return {{"pid", process.pid()},
          {"ppid", process.ppid()},
          {"pgid", process.pgid()},
          {"sid", process.sid()},
          {"command", CommandOf(process)},
          {"state", StateOf(process)},
          {"exe", process.exe()},
          {"cwd", process.cwd()},
          {"threads", process.threads_size()},
          {"mappings", process.mappings_size()},
          {"mapped_bytes", MappedBytes(process)},
          {"descriptors", descriptors}};
}

nlohmann::json ImageJson(const ImageReader& image, const Content& content) {
  const PageCounts pages = PagesOf(image);
  nlohmann::json processes = nlohmann::json::array();
  for (const pb::ProcessRecord& process : content.processes) processes.push_back(ProcessJson(content, process));
  return {{"directory", image.directory()},    {"root_pid", content.unit.root_pid()},
          {"capsule", content.unit.capsule()}, {"saved_ms", content.unit.realtime_ns() / 1'000'000},
          {"stored_page_bytes", pages.stored}, {"zero_page_bytes", pages.zero},
          {"records", content.record_counts},  {"processes", processes}};
}

std::string ImageText(const ImageReader& image, const Content& content) {
  const PageCounts pages = PagesOf(image);
  std::string text = fmt::format("saved {}, {}, {} of memory, {} more of zeros\n\n",
                                 FormatTime(content.unit.realtime_ns() / 1'000'000),
                                 content.unit.capsule() ? "from a capsule" : "from a process tree",
                                 FormatBytes(pages.stored), FormatBytes(pages.zero));
  std::vector<std::vector<std::string>> rows;
  std::vector<std::vector<std::string>> descriptors;
  for (const pb::ProcessRecord& process : content.processes) {
    const std::string pid = std::to_string(process.pid());
    rows.push_back({pid, std::to_string(process.ppid()), std::to_string(process.pgid()), std::to_string(process.sid()),
                    StateOf(process), std::to_string(process.threads_size()), FormatBytes(MappedBytes(process)),
                    CommandOf(process)});
    for (const pb::DescriptorRecord& descriptor : process.descriptors()) {
      descriptors.push_back({pid, std::to_string(descriptor.fd()), std::to_string(descriptor.open_file()),
                             DescribeFile(content, descriptor.open_file())});
    }
  }
  text += FormatTable({"PID", "PPID", "PGID", "SID", "STATE", "THREADS", "MAPPED", "COMMAND"}, rows);
  if (content.sysv) text += "\n" + DescribeSysv(*content.sysv) + "\n";
  if (!descriptors.empty()) text += "\n" + FormatTable({"PID", "FD", "FILE", "WHAT"}, descriptors);
  return text;
}

Result<int> Show(const ImageFlags& flags) {
  BATON_TRY(const auto image, ImageReader::Open(flags.directory));
  BATON_TRY(const Content content, ReadContent(*image));
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson(ImageJson(*image, content)));
  } else {
    BATON_CHECKED(PrintText(ImageText(*image, content)));
  }
  return 0;
}

Result<int> Verify(const ImageFlags& flags) {
  BATON_TRY(const auto image, ImageReader::Open(flags.directory));
  BATON_CHECKED(image->Verify(std::max(1U, std::thread::hardware_concurrency())));
  BATON_TRY(const Content content, ReadContent(*image));
  const PageCounts pages = PagesOf(*image);
  if (flags.format == OutputFormat::kJson) {
    BATON_CHECKED(PrintJson({{"directory", flags.directory},
                             {"whole", true},
                             {"records", image->records().size()},
                             {"stored_page_bytes", pages.stored}}));
    return 0;
  }
  BATON_CHECKED(PrintText(fmt::format("{}: whole ({} records, {} processes, {} of memory)\n", flags.directory,
                                      image->records().size(), content.processes.size(), FormatBytes(pages.stored))));
  return 0;
}

void AddAction(CLI::App* image, const CommandLineParser& parser, const char* name, const char* help,
               Result<int> (*action)(const ImageFlags&)) {
  auto flags = std::make_shared<ImageFlags>();
  CLI::App* command = image->add_subcommand(name, help);
  command->add_option("image", flags->directory, "The image")->required()->type_name("DIR");
  AddFormatOption(command, &flags->format);
  command->callback([flags, action, chosen = parser.chosen] { *chosen = [flags, action] { return action(*flags); }; });
}

}  // namespace

void AddImageCommand(const CommandLineParser& parser) {
  CLI::App* image = parser.app->add_subcommand("image", "Look into an image without restoring it");
  image->require_subcommand(1);
  AddAction(image, parser, "show", "Show the processes of an image and what they have open", Show);
  AddAction(image, parser, "verify", "Read all of an image and compare its checksums", Verify);
  image->footer(R"(
The image of a run's checkpoint is in STORE/NAME/checkpoint-N/image.

Examples:
  baton image show /var/tmp/image
  baton image verify /nfs/ckpt/fit/checkpoint-000012/image)");
}

}  // namespace baton
