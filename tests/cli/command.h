#pragma once
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
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

/// A command under way, in a process group of its own that signals can be sent to.
class Running {
 public:
  /// `command`: the program and its arguments. Standard input is empty.
  explicit Running(const std::vector<std::string>& command, const Surroundings& where = {});
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  [[nodiscard]] pid_t process() const { return process_; }
  /// Waits for its end.
  Outcome outcome();

 private:
  std::unique_ptr<ScratchFolder> streams_;
  pid_t process_ = -1;
};

/// Runs the real binary (MESHPLAN_BINARY) with `arguments`, standard input empty. HOME and
/// XDG_DATA_HOME point nowhere, so that nothing of the user's changes the answer.
Outcome run_meshplan(const std::vector<std::string>& arguments, const Surroundings& where = {});

/// `line` split at blanks, 'quoted words' kept whole.
std::vector<std::string> words(const std::string& line);

std::string text_of(const std::filesystem::path& file);

}  // namespace meshplan::cli_test
