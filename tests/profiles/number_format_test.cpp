#include "profiles/number_format.h"

#include <gtest/gtest.h>

#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

TEST(HumanTime, PicksTheUnit) {
  EXPECT_EQ(human(Seconds{13.75}), "13.8 s");
  EXPECT_EQ(human(Seconds{0.0421}), "42.1 ms");
  EXPECT_EQ(human(Seconds{7.5e-6}), "7.50 us");
  EXPECT_EQ(human(Seconds{86400 * 30.0}), "30.0 days");
  EXPECT_EQ(human(Seconds{0}), "0 s");
}

TEST(HumanBytes, IsDecimal) {
  EXPECT_EQ(human(Bytes{79'200'000'000}), "79.2 GB");
  EXPECT_EQ(human(Bytes{512}), "512 B");
  EXPECT_EQ(human(BytesPerSecond{450e9}), "450 GB/s");
}

TEST(HumanCount, GroupsDigits) {
  EXPECT_EQ(human_count(70'553'706'496.0), "70.6B");
  EXPECT_EQ(with_thousands(792880), "792,880");
  EXPECT_EQ(with_thousands(-1234), "-1,234");
  EXPECT_EQ(with_thousands(12), "12");
}

TEST(ParseBytes, ReadsNcclTestsSizes) {
  EXPECT_EQ(parse_bytes("1G", "--bytes"), Bytes{1073741824});
  EXPECT_EQ(parse_bytes("64K", "--bytes"), Bytes{65536});
  EXPECT_EQ(parse_bytes("1GB", "--bytes"), Bytes{1'000'000'000});
  EXPECT_EQ(parse_bytes("512", "--bytes"), Bytes{512});
}

TEST(ParseBytes, RefusesWhatIsNoSize) {
  for (const char* text : {"", "-1", "1X", "nan", "inf", "1e300G", "G"}) {
    EXPECT_THROW((void)parse_bytes(text, "--bytes"), InputError) << text;
  }
}

}  // namespace
}  // namespace meshplan::profiles
