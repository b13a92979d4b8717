#include "planner/export/shell_script.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using Words = std::vector<std::string>;

TEST(ShellWords, UndoesQuotesAndJoinsLines) {
  EXPECT_EQ(shell_words("--a 1 \\\n  --b='x y' \"c d\" # rest", "test"),
            (Words{"--a", "1", "--b=x y", "c d"}));
  EXPECT_EQ(shell_words("a\\ b '' #c", "test"), (Words{"a b", ""}));
  EXPECT_EQ(shell_words("${PORT:-8000} \"${MODEL:-llama 3}\" $X", "test"),
            (Words{"8000", "llama 3", "$X"}));
  EXPECT_THROW(shell_words("'open", "test"), profiles::InputError);
}

TEST(ShellQuoted, IsOneWordAgain) {
  EXPECT_EQ(shell_quoted("plain-1.5,x"), "plain-1.5,x");
  EXPECT_EQ(shell_quoted("Et*3|tL"), "'Et*3|tL'");
  EXPECT_TRUE(rc::check([](const std::string& drawn) {
    std::string text;
    for (const char c : drawn) text += c == '\0' ? 'x' : c;
    RC_ASSERT(shell_words(shell_quoted(text), "test") == Words{text});
  }));
}

TEST(ReadFlags, TakesBothSpellings) {
  const FlagList flags = read_flags({"run.py", "--a", "1", "--b=2", "--c", "x", "y", "--d", "-1"});
  EXPECT_EQ(flags.positional, Words{"run.py"});
  EXPECT_EQ(flags.number("--a", "test"), 1);
  EXPECT_EQ(flags.number("--b", "test"), 2);
  EXPECT_EQ(flags.find("--c")->values, (Words{"x", "y"}));
  EXPECT_EQ(flags.value("--d", "test"), "-1");
  EXPECT_EQ(flags.number("--none", "test"), std::nullopt);
  EXPECT_THROW((void)flags.number("--d", "test"), profiles::InputError);  // below 1
  EXPECT_THROW((void)flags.number("--c", "test"), profiles::InputError);  // two values
}

TEST(ReadShellScript, FindsTheProgramAndItsSurroundings) {
  const ShellScript script = read_shell_script(
      "#!/bin/sh\n"
      "export LAYERS=20,12\n"
      "cat > options <<'END'\n"
      "{\"a\": 1}\n"
      "END\n"
      "exec launcher --n 8 \\\n"
      "  serve --tp 4\n",
      "serve", "test");
  EXPECT_EQ(script.variables.at("LAYERS"), "20,12");
  EXPECT_EQ(script.launcher, (Words{"exec", "launcher", "--n", "8"}));
  EXPECT_EQ(script.arguments, (Words{"--tp", "4"}));
  EXPECT_EQ(script.here_document, "{\"a\": 1}\n");
  EXPECT_THROW(read_shell_script("ls\n", "serve", "test"), profiles::InputError);
}

}  // namespace
}  // namespace meshplan::planner
