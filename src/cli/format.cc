#include "cli/format.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/file.h"

namespace baton {
namespace {

struct NumberWithUnit {
  double number = 0;
  std::string unit;
};

Result<NumberWithUnit> SplitUnit(const std::string& text) {
  NumberWithUnit result;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result.number);
  if (error != std::errc() || !std::isfinite(result.number) || result.number < 0) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' does not begin with a number", text);
  }
  result.unit = std::string(static_cast<const char*>(end), text.data() + text.size());
  return result;
}

}  // namespace

void AddFormatOption(CLI::App* command, OutputFormat* format) {
  const std::map<std::string, OutputFormat> names{{"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}};
  command->add_option("-o,--format", *format, "How to print: table or json")
      ->transform(CLI::CheckedTransformer(names, CLI::ignore_case).description(""))
      ->type_name("table|json");
}

std::string FormatTable(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const std::string& title : header) widths.push_back(title.size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths.at(i) = std::max(widths.at(i), row[i].size());
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += i + 1 < row.size() ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i];
    }
    text += '\n';
  };
  add(header);
  for (const auto& row : rows) add(row);
  return text;
}

Result<> PrintText(const std::string& text) {
  if (auto written = WriteAll(STDOUT_FILENO, text); !written) return written.Fail("standard output");
  return {};
}

Result<> PrintJson(const nlohmann::json& json) {
  // Names of files may be any bytes: what is not UTF-8 is shown as such, not thrown at.
  return PrintText(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string FormatTime(int64_t unix_ms) {
  if (unix_ms == 0) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<time_t>(unix_ms / 1000)));
}

Result<std::chrono::milliseconds> ParseDuration(const std::string& text) {
  BATON_TRY(const NumberWithUnit parts, SplitUnit(text));
  const std::map<std::string, double> units{{"", 1000},      {"ms", 1},        {"s", 1000},      {"m", 60'000},
                                            {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  const auto unit = units.find(parts.unit);
  constexpr double kTooLong = 1e15;
  if (unit == units.end() || parts.number * unit->second > kTooLong) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no duration; write 500ms, 30s, 5m, 2h or 1d", text);
  }
  return std::chrono::milliseconds(static_cast<int64_t>(parts.number * unit->second));
}

Result<uint64_t> ParseBytes(const std::string& text) {
  BATON_TRY(NumberWithUnit parts, SplitUnit(text));
  if (parts.unit.ends_with("iB")) {
    parts.unit.resize(parts.unit.size() - 2);
  } else if (parts.unit.ends_with('B')) {
    parts.unit.resize(parts.unit.size() - 1);
  }
  const std::map<std::string, int> shifts{{"", 0}, {"K", 10}, {"k", 10}, {"M", 20}, {"G", 30}, {"T", 40}};
  const auto shift = shifts.find(parts.unit);
  if (shift == shifts.end() || std::ldexp(parts.number, shift->second) >= 0x1p63) {
    return MakeError(ErrorCode::kInvalidArgument, "'{}' is no size; write 4096, 512M, 10G or 1T", text);
  }
  return static_cast<uint64_t>(std::ldexp(parts.number, shift->second));
}

}  // namespace baton
