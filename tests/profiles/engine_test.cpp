#include "profiles/engine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

/// Data files with one engine of the user's own.
DataFiles with_engine(const std::string& text) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "engine_test";
  std::filesystem::create_directories(folder / "engines");
  std::ofstream(folder / "engines" / "mine.json") << text;
  return DataFiles({folder.string()});
}

TEST(Engine, WhatAFileLeavesOutIsAsInGeneric) {
  const Engine generic = load_engine("", {});
  const Engine mine =
      load_engine("mine", with_engine(R"({"schema": "meshplan.engine/1", "name": "mine",
                              "memory": {"cache_rule": "static", "cache_fraction": 0.5},
                              "host": {"step_seconds": 0.25}})"));
  EXPECT_TRUE(mine.known);
  EXPECT_EQ(mine.cache_rule, CacheRule::Static);
  EXPECT_DOUBLE_EQ(mine.cache_fraction, 0.5);
  EXPECT_DOUBLE_EQ(mine.step.count(), 0.25);
  EXPECT_EQ(mine.max_batched_tokens, generic.max_batched_tokens);
  EXPECT_EQ(mine.receive, generic.receive);
}

TEST(Engine, UnknownNamesGetGenericHabits) {
  const Engine engine = load_engine("no-such-engine", {});
  EXPECT_FALSE(engine.known);
  EXPECT_EQ(engine.max_sequences, load_engine("generic", {}).max_sequences);
}

TEST(Engine, BadFilesAreRefused) {
  const auto load = [](const char* keys) {
    return load_engine("mine", with_engine(std::string(R"({"schema": "meshplan.engine/1", )"
                                                       R"("name": "mine", )") +
                                           keys + "}"));
  };
  EXPECT_THROW(load(R"("hosts": {})"), InputError);
  EXPECT_THROW(load(R"("memory": {"cache_rule": "some"})"), InputError);
  EXPECT_THROW(load(R"("memory": {"cache_fraction": 1.5})"), InputError);
  EXPECT_THROW(load(R"("host": {"step_seconds": -1})"), InputError);
  EXPECT_THROW(load(R"("scheduler": {"max_sequences": 0})"), InputError);
}

TEST(Engine, EveryShippedFileReads) {
  const DataFiles files;
  for (const std::string& name : files.names("engines")) {
    EXPECT_EQ(load_engine(name, files).name, name);
    EXPECT_EQ(files.at("engines", name, "engine").at("name").string(), name);
  }
}

}  // namespace
}  // namespace meshplan::profiles
