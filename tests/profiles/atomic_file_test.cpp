#include "profiles/atomic_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

namespace fs = std::filesystem;

class AtomicFile : public testing::Test {
 protected:
  AtomicFile() { fs::create_directories(folder_); }
  ~AtomicFile() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string at(const std::string& name) const { return (folder_ / name).string(); }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] long files() const {
    return std::distance(fs::directory_iterator(folder_), fs::directory_iterator());
  }

 private:
  const fs::path folder_ =
      fs::temp_directory_path() / ("atomic_file_test." + std::to_string(::getpid()));
};

TEST_F(AtomicFile, ReplacesTheWholeFileAndLeavesNoOther) {
  write_atomically(at("a"), "a long first text");
  write_atomically(at("a"), "second");
  EXPECT_EQ(text_of(at("a")), "second");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, WritesThroughALink) {
  write_atomically(at("a"), "first");
  fs::create_symlink(at("a"), at("link"));
  write_atomically(at("link"), "second");
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(text_of(at("a")), "second");
}

TEST_F(AtomicFile, APipeStaysAPipe) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  const int reader = ::open(at("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  write_atomically(at("pipe"), "text");
  std::array<char, 16> read{};
  EXPECT_EQ(::read(reader, read.data(), read.size()), 4);
  EXPECT_STREQ(read.data(), "text");
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(at("pipe")));
}

TEST_F(AtomicFile, RefusesPlacesThatCannotBeWritten) {
  EXPECT_THROW(write_atomically(at("no/such/folder"), "text"), InputError);
  fs::create_directory(at("folder"));
  EXPECT_THROW(write_atomically(at("folder"), "text"), InputError);
  EXPECT_THROW(write_atomically("/dev/full", "text"), InputError);  // accepts nothing
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFile, ItsPlaceIsJudgedWithoutWriting) {
  require_writable_file("");
  require_writable_file("/dev/null");
  require_writable_file(at("a"));
  EXPECT_EQ(files(), 0);
  EXPECT_THROW(require_writable_file(at("missing/a")), InputError);
  EXPECT_THROW(require_writable_file(at(".")), InputError);
  write_atomically(at("a"), "text");
  require_writable_file(at("a"));
  EXPECT_THROW(require_writable_file(at("a/b")), InputError);
}

TEST_F(AtomicFile, FoldersAreMadeWhenSomethingIsWritten) {
  require_writable_folder(at("a/b"));
  EXPECT_EQ(files(), 0);
  write_with_folders(at("a/b/c"), "text");
  EXPECT_EQ(text_of(at("a/b/c")), "text");
}

TEST_F(AtomicFile, AFileIsNoFolder) {
  write_atomically(at("a"), "text");
  EXPECT_THROW(require_writable_folder(at("a")), InputError);
  EXPECT_THROW(require_writable_folder(at("a/b")), InputError);
}

}  // namespace
}  // namespace meshplan::profiles
