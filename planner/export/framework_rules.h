#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "planner/export/condition.h"
#include "planner/export/message.h"
#include "planner/problem.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// What must hold of a layout so that a framework runs it.
struct FrameworkRule {
  std::string id;  ///< "megatron.query_groups": also the key of search.rejected
  Condition condition;
  Message message;  ///< why it is refused, in the framework's own words where it has some
  std::string source;
};

/// A program that runs layouts, in the version whose keys and rules we know.
struct TargetFramework {
  std::string name;   ///< as `--to` and `--for` take it: "megatron"
  std::string title;  ///< "Megatron-LM"
  std::string version;
  std::vector<std::string> aliases;
  bool training = true;  ///< false: an inference engine
  /// Public files that keys and rules were held against, where not those of the version itself.
  std::vector<std::string> checked;
  std::vector<FrameworkRule> rules;

  [[nodiscard]] std::string full_name() const { return title + " " + version; }
};

/// The table of all frameworks and their rules: profiles/data/rules/frameworks.json, schema
/// meshplan.rules/1. One evaluator reads it; no framework has a rule in code.
class FrameworkRules {
 public:
  explicit FrameworkRules(const profiles::DataFiles& files);
  explicit FrameworkRules(const profiles::JsonNode& document);

  [[nodiscard]] const std::vector<TargetFramework>& all() const { return frameworks_; }
  /// By name or alias. Throws InputError that names `where` and the nearest name.
  [[nodiscard]] const TargetFramework& at(const std::string& name, const std::string& where) const;

 private:
  std::vector<TargetFramework> frameworks_;
};

struct BrokenRule {
  std::string id;
  std::string what;  ///< the message, with its numbers
};

/// Judges layouts of one problem by the rules of one framework. Splits of layers are worked out
/// once for each number of chunks. Keeps references to both.
class FrameworkJudge {
 public:
  FrameworkJudge(const TargetFramework& framework, const Problem& problem)
      : framework_(framework), problem_(problem) {}

  /// The id of the first rule that the layout breaks: the search's fast path.
  std::optional<std::string> broken_rule(const Layout& layout);
  /// Every rule that it breaks, with words.
  std::vector<BrokenRule> broken_rules(const Layout& layout);

 private:
  Situation situation(const Layout& layout);

  const TargetFramework& framework_;
  const Problem& problem_;
  std::map<int, SplitShape> default_splits_;  ///< by number of chunks
  int last_chunks_ = 0;                       ///< whose split was asked for last
  SplitShape last_split_;
};

}  // namespace meshplan::planner
