// How help and wrong command lines look: the one place that knows the texts CLI11 makes.
//
// Thread-safety: free functions.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace baton {

// Help of at most 80 columns: arguments by their type's name (NAME, DIR), long descriptions wrapped.
std::shared_ptr<CLI::FormatterBase> MakeHelpFormatter();

// What is wrong with a command line, and which help tells more: two lines.
std::string UsageErrorText(const CLI::App& app, const CLI::ParseError& error);

}  // namespace baton
