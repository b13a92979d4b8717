#include "profiles/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

std::string refusal(std::string_view text) {
  try {
    const CsvTable table = CsvTable::parse(text, "t.csv", {"op", "bytes"});
    for (std::size_t row = 0; row < table.rows(); ++row) (void)table.integer(row, "bytes", 0, 100);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CsvTable, ReadsByColumnName) {
  const CsvTable table =
      CsvTable::parse("note,bytes,op\nfirst,8,all_reduce\n,16,all_gather\n", "t.csv", {"op"});
  ASSERT_EQ(table.rows(), 2U);
  EXPECT_EQ(table.text(0, "op"), "all_reduce");
  EXPECT_EQ(table.integer(1, "bytes"), 16);
  EXPECT_EQ(table.text(1, "note"), "");
}

TEST(CsvTable, NumbersMayHaveAnExponent) {
  const CsvTable table = CsvTable::parse("seconds\n8.980000e-06\n-2\n", "t.csv", {"seconds"});
  EXPECT_DOUBLE_EQ(table.number(0, "seconds"), 8.98e-6);
  EXPECT_DOUBLE_EQ(table.number(1, "seconds"), -2);
  EXPECT_THROW((void)table.positive_number(1, "seconds"), InputError);
}

TEST(CsvTable, QuotedFieldsKeepCommasQuotesAndLineBreaks) {
  const CsvTable table =
      CsvTable::parse("a,b\n\"one, two\",\"say \"\"hi\"\"\"\n\"x\ny\",z\n", "t.csv", {"a", "b"});
  EXPECT_EQ(table.text(0, "a"), "one, two");
  EXPECT_EQ(table.text(0, "b"), "say \"hi\"");
  EXPECT_EQ(table.text(1, "a"), "x\ny");
  EXPECT_EQ(table.text(1, "b"), "z");
}

TEST(CsvTable, AcceptsWindowsFilesAndEmptyLines) {
  const CsvTable table =
      CsvTable::parse("\xEF\xBB\xBFop,bytes\r\n\r\nx, 7 \r\n\n", "t.csv", {"op"});
  ASSERT_EQ(table.rows(), 1U);
  EXPECT_EQ(table.integer(0, "bytes"), 7);
  EXPECT_EQ(table.where(0), "t.csv:3");
}

TEST(CsvTable, LastLineNeedsNoLineBreak) {
  EXPECT_EQ(CsvTable::parse("op,bytes\nx,7", "t.csv", {"op"}).integer(0, "bytes"), 7);
}

TEST(CsvTable, RefusalsNameFileLineAndColumn) {
  using testing::HasSubstr;
  EXPECT_EQ(refusal(""), "t.csv: expected a header line, found an empty file");
  EXPECT_EQ(refusal("op,byte\n"),
            "t.csv: expected a column 'bytes', found none; did you mean 'byte'?");
  EXPECT_EQ(refusal("op,bytes\nx,1\ny\n"), "t.csv:3: expected 2 fields, found 1");
  EXPECT_EQ(refusal("op,bytes\nx,1.5\n"),
            "t.csv:2, column 'bytes': expected a whole number, found '1.5'");
  EXPECT_THAT(refusal("op,bytes\nx,101\n"), HasSubstr("at most 100"));
  EXPECT_THAT(refusal("op,bytes\nx,-1\n"), HasSubstr("at least 0"));
  EXPECT_THAT(refusal("op,bytes\nx,99999999999999999999\n"), HasSubstr("a whole number"));
  EXPECT_THAT(refusal("op,op,bytes\n"), HasSubstr("'op' twice"));
  EXPECT_THAT(refusal("op,bytes\n\"x,1\n"), HasSubstr("a closing quote"));
  EXPECT_THAT(refusal("op,bytes\n\"x\"y,1\n"), HasSubstr("a comma after the closing quote"));
}

TEST(CsvTable, RefusesNumbersThatAreNotFinite) {
  const CsvTable table = CsvTable::parse("s\nnan\ninf\n1e999\n0x10\n\"\"\n", "t.csv", {"s"});
  ASSERT_EQ(table.rows(), 5U);
  for (std::size_t row = 0; row < table.rows(); ++row) {
    EXPECT_THROW((void)table.number(row, "s"), InputError) << row;
  }
}

TEST(CsvTable, RefusesWhatIsNoFile) {
  EXPECT_THROW((void)CsvTable::read_file("/", {}), InputError);
  EXPECT_THROW((void)CsvTable::read_file("/nonexistent.csv", {}), InputError);
}

}  // namespace
}  // namespace meshplan::profiles
