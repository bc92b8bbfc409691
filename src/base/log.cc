#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

namespace baton {
namespace {

struct Rule {
  std::string prefix;  // empty: all files
  LogLevel level;
};

LogLevel LevelOf(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "error") return LogLevel::kError;
  if (name == "off") return LogLevel::kOff;
  return LogLevel::kWarn;
}

std::vector<Rule> ParseRules(std::string_view spec) {
  std::vector<Rule> rules{{"", LogLevel::kWarn}};
  while (!spec.empty()) {
    const auto comma = spec.find(',');
    const std::string_view part = spec.substr(0, comma);
    spec = comma == std::string_view::npos ? std::string_view() : spec.substr(comma + 1);
    const auto colon = part.find(':');
    const std::string_view name = colon == std::string_view::npos ? "all" : part.substr(0, colon);
    const std::string_view level = colon == std::string_view::npos ? part : part.substr(colon + 1);
    rules.push_back({name == "all" ? "" : std::string(name), LevelOf(level)});
  }
  return rules;
}

class Logger {
 public:
  Logger() : sink_(std::make_shared<spdlog::sinks::stderr_sink_mt>()), log_("baton", sink_) {
    log_.set_pattern("%Y-%m-%dT%H:%M:%S.%e %P %l %v");
    log_.set_level(spdlog::level::trace);
    const char* spec = std::getenv("BATON_LOG");
    rules_ = ParseRules(spec == nullptr ? "" : spec);
  }
  void SetRules(std::vector<Rule> rules) {
    const std::scoped_lock lock(mutex_);
    rules_ = std::move(rules);
  }
  bool Enabled(LogLevel level, std::string_view file) {
    const std::scoped_lock lock(mutex_);
    LogLevel threshold = LogLevel::kWarn;
    for (const Rule& rule : rules_) {
      if (file.starts_with(rule.prefix)) threshold = rule.level;
    }
    return level >= threshold;
  }
  void Write(LogLevel level, const std::string& text) {
    constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                     spdlog::level::err};
    log_.log(kLevels[static_cast<int>(level)], "{}", text);
  }

 private:
  std::mutex mutex_;
  std::vector<Rule> rules_;  // GUARDED_BY(mutex_)
  std::shared_ptr<spdlog::sinks::stderr_sink_mt> sink_;
  spdlog::logger log_;
};

Logger& TheLogger() {
  static Logger logger;
  return logger;
}

std::string_view AfterSrc(std::string_view file) {
  const auto at = file.rfind("/src/");
  return at == std::string_view::npos ? file : file.substr(at + 5);
}

}  // namespace

bool LogEnabled(LogLevel level, std::string_view file) { return TheLogger().Enabled(level, AfterSrc(file)); }

void LogLine(LogLevel level, std::string_view file, int line, const std::string& text) {
  TheLogger().Write(level, fmt::format("{}:{} {}", AfterSrc(file), line, text));
}

void SetLogLevels(std::string_view spec) { TheLogger().SetRules(ParseRules(spec)); }

}  // namespace baton
