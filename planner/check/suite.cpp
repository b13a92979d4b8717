#include "planner/check/suite.h"

#include <filesystem>
#include <set>

#include "planner/model/config.h"
#include "planner/software.h"
#include "profiles/cluster_load.h"
#include "profiles/data_type.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::JsonNode;

class Reader {
 public:
  Reader(const std::string& folder, const profiles::DataFiles& files)
      : folder_(folder), files_(files) {}

  Question question(const JsonNode& node) {
    node.refuse_unknown_keys(
        {"name", "model", "cluster", "workload", "fix", "framework", "tolerance"});
    Question out;
    out.name = fresh_name(node.at("name"), questions_);
    out.tolerance = tolerance(node, out.tolerance);
    Problem& problem = out.problem;
    const JsonNode model = node.at("model"), cluster = node.at("cluster");
    problem.model = profiles::named_at(
        model.where(), "model", [&] { return load_model(resolved(model.string()), files_); });
    problem.cluster = profiles::named_at(cluster.where(), "cluster", [&] {
      return profiles::load_cluster(resolved(cluster.string()), files_);
    });
    problem.profile = profiles::load_profile(problem.cluster, files_);
    problem.workload = workload(node.at("workload"));
    const auto framework = node.find_value("framework");
    problem.framework = software_of(framework ? framework->string() : "", problem, files_);
    if (framework && !problem.framework.known) framework->refuse("a known framework");
    if (const auto fix = node.find_value("fix")) {
      out.fixed = read_layout_text(fix->string(), fix->where());
    }
    return out;
  }

  RecordedCases recorded(const JsonNode& node) {
    node.refuse_unknown_keys({"name", "runs", "tolerance"});
    RecordedCases out;
    out.name = fresh_name(node.at("name"), recorded_);
    out.tolerance = tolerance(node, out.tolerance);
    const JsonNode document = JsonNode::read_file(resolved(node.at("runs").string()));
    out.runs = read_runs(document, files_);
    std::set<std::string> ids;
    for (const RecordedRun& run : out.runs) {
      if (run.refusal) document.at("runs").refuse("runs that can be predicted: " + *run.refusal);
      if (run.problem.workload.kind != Workload::Kind::Training) {
        document.at("runs").refuse("runs of training, unlike '" + run.id + "'");
      }
      if (!ids.insert(run.id).second) {
        document.at("runs").refuse("ids that differ; '" + run.id + "' stands twice");
      }
    }
    return out;
  }

 private:
  static std::string fresh_name(const JsonNode& node, std::set<std::string>& taken) {
    if (node.string().empty() || !taken.insert(node.string()).second) {
      node.refuse("a name of its own");
    }
    return node.string();
  }

  static double tolerance(const JsonNode& node, double otherwise) {
    const auto stated = node.find_value("tolerance");
    if (!stated) return otherwise;
    if (stated->number() < 0 || stated->number() >= 1) stated->refuse("a fraction from 0 to 1");
    return stated->number();
  }

  static Workload workload(const JsonNode& node) {
    node.refuse_unknown_keys({"seq_len", "global_batch", "dtype", "optimizer"});
    Workload out;
    out.seq_len = node.at("seq_len").count();
    out.global_batch = node.at("global_batch").count();
    if (const auto type = node.find_value("dtype")) {
      const auto known = profiles::data_type_from(type->string());
      if (!known) type->refuse("one of fp32, tf32, fp16, bf16, fp8, fp4");
      out.data_type = *known;
    }
    if (const auto optimizer = node.find_value("optimizer")) {
      const auto known = optimizer_from(optimizer->string());
      if (!known) optimizer->refuse("adam, sgd or lion");
      out.optimizer = *known;
    }
    return out;
  }

  /// `name` as a path below the suite's folder if something lies there, else as it is.
  [[nodiscard]] std::string resolved(const std::string& name) const {
    const std::filesystem::path below = std::filesystem::path(folder_) / name;
    // The size of a cluster follows its file after a colon.
    const std::filesystem::path file =
        std::filesystem::path(folder_) / name.substr(0, name.find(':'));
    std::error_code unreadable;
    return std::filesystem::exists(file, unreadable) ? below.string() : name;
  }

  const std::string& folder_;
  const profiles::DataFiles& files_;
  std::set<std::string> questions_, recorded_;
};

}  // namespace

Suite read_suite(const JsonNode& document, const std::string& folder,
                 const profiles::DataFiles& files) {
  document.require_schema("suite");
  document.refuse_unknown_keys({"schema", "questions", "recorded"});
  Reader reader(folder, files);
  Suite out;
  if (const auto questions = document.find_value("questions")) {
    for (const JsonNode& node : questions->elements()) {
      out.questions.push_back(reader.question(node));
    }
  }
  if (const auto recorded = document.find_value("recorded")) {
    for (const JsonNode& node : recorded->elements()) {
      out.recorded.push_back(reader.recorded(node));
    }
  }
  if (out.questions.empty() && out.recorded.empty()) {
    document.refuse("questions or recorded runs to hold");
  }
  return out;
}

}  // namespace meshplan::planner
