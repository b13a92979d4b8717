// Stands in for libFuzzer: replay SEED_FOLDER MUTATIONS runs every seed, then as many mutations.
// Whatever ends the process in between leaves its input in meshplan-fuzz-failure and says so.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutate.h"

namespace {

namespace fs = std::filesystem;
using namespace meshplan;

std::string current_input;
std::string current_name;

void save_input() {
  constexpr const char* kFile = "meshplan-fuzz-failure";
  std::ofstream(kFile, std::ios::binary) << current_input;
  std::fprintf(stderr, "failed on %s; the input is in %s\n", current_name.c_str(), kFile);
}

/// Not async-signal-safe, which a process about to die can afford.
extern "C" void on_fatal_signal(int signal) {
  save_input();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void try_input(std::string name, std::string input) {
  current_name = std::move(name);
  current_input = std::move(input);
  try {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current_input.data()),
                           current_input.size());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "escaped: %s\n", error.what());
    save_input();
    std::exit(1);
  }
}

std::vector<std::pair<std::string, std::string>> seeds_in(const fs::path& folder) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    out.emplace_back(entry.path().filename().string(), std::move(text).str());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s SEED_FOLDER MUTATIONS\n", argv[0]);
    return 2;
  }
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGILL, SIGBUS}) {
    std::signal(signal, on_fatal_signal);
  }
  std::vector<std::string> texts;
  for (const auto& [name, text] : seeds_in(argv[1])) {
    try_input("seed " + name, text);
    texts.push_back(text);
  }
  if (texts.empty()) {
    std::fprintf(stderr, "%s: no seeds\n", argv[1]);
    return 1;
  }
  std::mt19937_64 random(1);
  const long mutations = std::strtol(argv[2], nullptr, 10);
  for (long i = 0; i < mutations; ++i) {
    try_input("mutation " + std::to_string(i), fuzz::mutation(texts, random));
  }
  std::printf("%zu seeds and %ld mutations\n", texts.size(), mutations);
  return 0;
}
