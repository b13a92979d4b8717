#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace meshplan::cli_test {

/// What a finished command left behind.
struct Outcome {
  int code = -1;  ///< exit code; 128 + signal if a signal ended it
  std::string out, err;
};

/// How a command is started.
struct Surroundings {
  std::filesystem::path folder = ".";
  std::map<std::string, std::string> environment = {};  ///< set or changed
};

/// Runs the real binary (MESHPLAN_BINARY) with `arguments`, standard input empty. HOME and
/// XDG_DATA_HOME point nowhere, so that nothing of the user's changes the answer.
Outcome run_meshplan(const std::vector<std::string>& arguments, const Surroundings& where = {});

/// `line` split at blanks, 'quoted words' kept whole.
std::vector<std::string> words(const std::string& line);

/// A folder of one test, removed with it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// Writes a file; its full path.
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const;
  /// Names of the files that lie here now.
  [[nodiscard]] std::vector<std::string> files() const;

 private:
  std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& file);

}  // namespace meshplan::cli_test
