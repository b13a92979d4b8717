#include "tests/cli/command.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace meshplan::cli_test {
namespace fs = std::filesystem;
namespace {

void redirect(int stream, const fs::path& file, int flags) {
  const int opened = ::open(file.c_str(), flags, 0600);
  if (opened < 0 || ::dup2(opened, stream) < 0) ::_exit(126);
}

}  // namespace

Running::Running(const std::vector<std::string>& command, const Surroundings& where)
    : streams_(std::make_unique<ScratchFolder>()) {
  const fs::path out = streams_->path() / "out";
  const fs::path err = streams_->path() / "err";
  std::vector<std::string> texts = command;
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);

  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("cannot start a process");
  if (process_ == 0) {
    ::setpgid(0, 0);
    ::setenv("HOME", streams_->path().c_str(), 1);
    ::unsetenv("XDG_DATA_HOME");
    for (const auto& [name, value] : where.environment) ::setenv(name.c_str(), value.c_str(), 1);
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, err, O_WRONLY | O_CREAT | O_TRUNC);
    if (::chdir(where.folder.c_str()) != 0) ::_exit(126);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
}

Running::~Running() {
  if (process_ < 0) return;
  ::kill(-process_, SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Outcome Running::outcome() {
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
          text_of(streams_->path() / "out"), text_of(streams_->path() / "err")};
}

Outcome run_meshplan(const std::vector<std::string>& arguments, const Surroundings& where) {
  std::vector<std::string> command = {MESHPLAN_BINARY};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Running(command, where).outcome();
}

std::vector<std::string> words(const std::string& line) {
  std::vector<std::string> out;
  bool quoted = false, in_word = false;
  for (const char c : line) {
    if (c == '\'') {
      quoted = !quoted;
      if (!in_word) out.emplace_back();
      in_word = true;
    } else if (c == ' ' && !quoted) {
      in_word = false;
    } else {
      if (!in_word) out.emplace_back();
      in_word = true;
      out.back() += c;
    }
  }
  return out;
}

ScratchFolder::ScratchFolder() {
  std::string name = (fs::temp_directory_path() / "meshplan-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string ScratchFolder::file(const std::string& name, const std::string& text) const {
  const fs::path path = path_ / name;
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

std::vector<std::string> ScratchFolder::files() const {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(path_)) {
    out.push_back(entry.path().filename().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return std::move(text).str();
}

}  // namespace meshplan::cli_test
