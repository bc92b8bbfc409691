#include "cli/help.h"

#include <fmt/format.h>

#include <sstream>
#include <vector>

namespace baton {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kNameColumns = 28;

// Line breaks put in so that no line is longer than `width`, unless a word is.
std::string Wrap(const std::string& text, size_t width) {
  std::istringstream words(text);
  std::string wrapped;
  std::string word;
  size_t column = 0;
  while (words >> word) {
    const bool fits = column + 1 + word.size() <= width;
    if (!wrapped.empty()) wrapped += fits ? ' ' : '\n';
    column = fits && !wrapped.empty() ? column + 1 + word.size() : word.size();
    wrapped += word;
  }
  return wrapped;
}

class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kNameColumns); }

  std::string make_description(const CLI::App* app) const override {
    return Wrap(app->get_description(), kColumns) + "\n";
  }

  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string usage = fmt::format("\nUsage: {}", name);
    if (app->get_subcommands([](const CLI::App*) { return true; }).empty()) {
      usage += " [OPTIONS]";
    } else {
      usage += " COMMAND ...";
    }
    for (const CLI::Option* positional : app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
      const bool many = positional->get_expected_max() >= CLI::detail::expected_max_vector_size;
      const std::string shown = positional->get_type_name() + (many ? " ..." : "");
      usage += positional->get_required() ? " " + shown : " [" + shown + "]";
    }
    return usage + "\n";
  }

  std::string make_footer(const CLI::App* app) const override {
    const std::string footer = app->get_footer();
    if (footer.empty()) return "";
    return footer.substr(footer.find_first_not_of('\n')) + "\n";
  }

  std::string make_subcommand(const CLI::App* command) const override {
    std::ostringstream line;
    CLI::detail::format_help(line, command->get_name(), Wrap(command->get_description(), kColumns - kNameColumns),
                             kNameColumns);
    return line.str();
  }

  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    if (is_positional) return option->get_type_name();
    return CLI::Formatter::make_option_name(option, false);
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_positional() || option->get_type_size() == 0) return "";
    return " " + option->get_type_name();
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    return Wrap(option->get_description(), kColumns - kNameColumns);
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter() { return std::make_shared<HelpFormatter>(); }

std::string UsageErrorText(const CLI::App& app, const CLI::ParseError& error) {
  std::string command = "baton";
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    command += " " + at->get_name();
  }
  std::string what = error.what();
  if (at->get_require_subcommand_min() > 0) {
    // CLI11 would say "A subcommand is required", of an unknown one too.
    const std::vector<std::string> left = at->remaining();
    what = left.empty() ? fmt::format("'{}' needs a command", command)
                        : fmt::format("'{}' has no command '{}'", command, left.front());
  }
  return fmt::format("baton: {}\nSee `{} --help`.\n", what, command);
}

}  // namespace baton
