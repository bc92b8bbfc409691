// Tables, JSON, sizes and times for people. Data goes to stdout; nothing else does.
//
// Thread-safety: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"  // FormatBytes

namespace baton {

enum class OutputFormat { kTable, kJson };

// Adds -o/--format table|json to a command.
void AddFormatOption(CLI::App* command, OutputFormat* format);

// Columns padded to their widest cell, two blanks between; the last one is not padded.
std::string FormatTable(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

// Writes text or JSON (indented, with a newline) to stdout. An error if stdout does not take it.
Result<> PrintText(const std::string& text);
Result<> PrintJson(const nlohmann::json& json);

// "12.3 ms", "4.5 s", "2 h 03 min".
std::string FormatDuration(std::chrono::nanoseconds duration);
// "2026-01-31 13:45:00" local time, "-" for 0.
std::string FormatTime(int64_t unix_ms);

// "30s", "500ms", "5m", "2h", "1d"; a bare number means seconds. kInvalidArgument otherwise.
Result<std::chrono::milliseconds> ParseDuration(const std::string& text);
// "10G", "512MiB", "4096"; powers of 1024.
Result<uint64_t> ParseBytes(const std::string& text);

}  // namespace baton
