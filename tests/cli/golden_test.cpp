// The documented examples, run. A golden file, or a ```console block of a Markdown page, is
//
//   $ meshplan list models          the command
//   model  parameters ...           its standard output
//   [exit 1]                        only where it is not 0
//
// Figures that differ from machine to machine are masked on both sides. With MESHPLAN_REFRESH=1
// outputs that differ are written back (tests/golden/refresh.sh).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/cli/command.h"

namespace {

namespace fs = std::filesystem;
using namespace meshplan::cli_test;

const std::string kPrompt = "$ meshplan";

/// How long the search took.
std::string masked(const std::string& text) {
  static const std::regex search_time(R"re((simulated, )[0-9.]+ (ns|us|ms|s|min|h) )re");
  return std::regex_replace(text, search_time, "$1TIME ");
}

bool refreshing() {
  const char* wanted = std::getenv("MESHPLAN_REFRESH");
  return wanted != nullptr && std::string(wanted) == "1";
}

/// A page as lines; a part of it is examples.
class Page {
 public:
  explicit Page(const fs::path& file) : file_(file), markdown_(file.extension() == ".md") {
    std::istringstream text(text_of(file));
    for (std::string line; std::getline(text, line);) lines_.push_back(line);
    fs::create_directory_symlink(fs::path(SOURCE_DIR) / "tests" / "profiles" / "topologies",
                                 folder_.path() / "topologies");
  }

  /// Runs every example; how many there were.
  int check() {
    int examples = 0;
    bool inside = !markdown_;
    std::vector<std::string> out;
    for (std::size_t at = 0; at < lines_.size();) {
      const std::string& line = lines_[at];
      if (markdown_ && line.starts_with("```")) inside = line == "```console";
      if (!inside || !line.starts_with(kPrompt)) {
        out.push_back(line);
        ++at;
        continue;
      }
      ++examples;
      std::string command = line.substr(kPrompt.size());
      out.push_back(line);
      for (++at; command.ends_with('\\') && at < lines_.size(); ++at) {
        command.back() = ' ';
        command += lines_[at];
        out.push_back(lines_[at]);
      }
      std::vector<std::string> stated;
      while (at < lines_.size() && !ends_example(lines_[at])) stated.push_back(lines_[at++]);
      const std::vector<std::string> found = run(command);
      const bool same = join(stated) == join(found);
      if (!refreshing()) {
        EXPECT_EQ(masked(join(found)), masked(join(stated))) << file_ << ": $ meshplan" << command;
      }
      const auto& kept = same || masked(join(stated)) == masked(join(found)) ? stated : found;
      out.insert(out.end(), kept.begin(), kept.end());
    }
    if (refreshing() && out != lines_) std::ofstream(file_) << join(out);
    return examples;
  }

 private:
  [[nodiscard]] bool ends_example(const std::string& line) const {
    return line.starts_with(kPrompt) || (markdown_ && line.starts_with("```"));
  }

  [[nodiscard]] std::vector<std::string> run(const std::string& command) const {
    const Outcome outcome = run_meshplan(words(command), {.folder = folder_.path()});
    std::vector<std::string> out;
    std::istringstream text(outcome.out + outcome.err);
    for (std::string line; std::getline(text, line);) out.push_back(line);
    if (outcome.code != 0) out.push_back("[exit " + std::to_string(outcome.code) + "]");
    return out;
  }

  static std::string join(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) out += line + "\n";
    return out;
  }

  /// Examples of a page may read the files of earlier ones, and topologies/.
  ScratchFolder folder_;
  fs::path file_;
  bool markdown_;
  std::vector<std::string> lines_;
};

TEST(Golden, GoldenFiles) {
  int examples = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(SOURCE_DIR) / "tests" / "golden")) {
    if (entry.path().extension() == ".txt") examples += Page(entry.path()).check();
  }
  EXPECT_GT(examples, 0);
}

TEST(Golden, ExamplesInTheDocuments) {
  const fs::path root = SOURCE_DIR;
  int examples = Page(root / "README.md").check();
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs")) {
    if (entry.path().extension() == ".md") examples += Page(entry.path()).check();
  }
  EXPECT_GT(examples, 0);
}

}  // namespace
