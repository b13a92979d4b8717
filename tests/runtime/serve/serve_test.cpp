// Whatever the layout and the scheduler, every request gets the tokens that the model gives when
// the whole text is computed anew for each of them: by the oracle, without cache, in double
// precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "plain_transformer.h"
#include "planner/layout/layout_text.h"
#include "profiles/input_error.h"
#include "runtime/measure/serving_measurement.h"
#include "runtime/serve/compare_answers.h"
#include "runtime/serve/serve_on_threads.h"
#include "stream_device.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;
using Answers = std::vector<std::vector<GeneratedToken>>;

/// fp32 has 24 bits, 6e-8; the sums of a logit are of some hundred products in four layers.
constexpr double kTolerance = 2e-5;
const InProcessOptions kOptions{.timeout = Seconds{60}, .take_turns = false, .in_words = {}};

/// Six tokens a step, so that prompts come in chunks.
profiles::Engine engine() {
  profiles::Engine out;
  out.max_batched_tokens = 6;
  out.reserved_output = 1;
  return out;
}
/// Users with texts of 10 tokens, give or take two: contexts stay below the 16 positions.
planner::Load users(int count) {
  return {.prompt = 5,
          .output = 5,
          .users = count,
          .requests = 2 * count,
          .spread = 0.4,
          .online = true};
}
planner::Load batch(int count) {
  return {.prompt = 5, .output = 6, .users = count, .requests = count, .prompts_first = true};
}

Serving serving(Family family, const std::string& layout, const planner::Load& load,
                const profiles::Engine& habits = engine(), std::int64_t room = 1000) {
  Serving out;
  out.model = tiny_model(family);
  out.layout = planner::layout_from_text(layout);
  out.schedule = planner::serving_schedule(habits, load, room);
  return out;
}

/// Every request of every replica, each token from the whole text.
Answers recomputed(const Serving& serving) {
  const auto parameters = plain_parameters(serving.model, serving.seed);
  Answers out;
  for (int replica = 0; replica < serving.layout.dp; ++replica) {
    for (std::size_t r = 0; r < serving.schedule.requests.size(); ++r) {
      std::vector<std::int32_t> text = prompt_of(serving, replica, static_cast<int>(r));
      std::vector<GeneratedToken> answer;
      for (int t = 0; t < serving.schedule.requests[r].output; ++t) {
        std::vector<double> logits = plain_logits(serving.model, parameters, text);
        const auto best = std::max_element(logits.begin(), logits.end());
        GeneratedToken token;
        token.token = static_cast<std::int32_t>(best - logits.begin());
        token.logit = static_cast<float>(*best);
        *best = -1e9;
        const auto next = std::max_element(logits.begin(), logits.end());
        token.runner_up = static_cast<std::int32_t>(next - logits.begin());
        token.runner_up_logit = static_cast<float>(*next);
        answer.push_back(token);
        text.push_back(token.token);
      }
      out.push_back(answer);
    }
  }
  return out;
}

void expect_the_models_answers(const Serving& serving, const Answers& found) {
  const Answers expected = recomputed(serving);
  ASSERT_EQ(found.size(), expected.size());
  const AnswerComparison compared = compare_answers(expected, found, kTolerance);
  if (compared.difference) {
    ADD_FAILURE() << "request " << compared.difference->request << ", token "
                  << compared.difference->token << ": " << compared.difference->found.token
                  << " for " << compared.difference->expected.token << ", logit "
                  << compared.difference->found.logit << " for "
                  << compared.difference->expected.logit;
  }
  EXPECT_EQ(compared.near_ties, 0);
}

struct Case {
  Family family;
  std::string layout;
};

class Serves : public testing::TestWithParam<Case> {};

TEST_P(Serves, StaticBatchesAsTheModelAnswers) {
  for (const int requests : {1, 3}) {
    const Serving one = serving(GetParam().family, GetParam().layout, batch(requests));
    expect_the_models_answers(one, answers_of(one, serve_on_threads(one, kOptions)));
  }
}

TEST_P(Serves, UsersWhoComeAndGoAsTheModelAnswers) {
  const Serving one = serving(GetParam().family, GetParam().layout, users(3));
  expect_the_models_answers(one, answers_of(one, serve_on_threads(one, kOptions)));
}

TEST_P(Serves, OnQueuesThatRunBesideEachOtherWithTheSameBits) {
  const Serving one = serving(GetParam().family, GetParam().layout, users(2));
  std::vector<ServedRank> ranks(static_cast<std::size_t>(one.layout.devices()));
  run_in_process(one.layout.devices(), kOptions, [&](Communicator& host) {
    StreamDevice device(host);
    ranks[static_cast<std::size_t>(host.rank())] = serve_rank(one, device);
  });
  EXPECT_EQ(answers_of(one, ranks), answers_of(one, serve_on_threads(one, kOptions)));
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const Family family : {Family::Gpt, Family::Llama}) {
    for (const char* layout : {"tp1,pp1,dp1", "tp2,pp1,dp1", "tp1,pp2,dp1", "tp2,pp2,dp1",
                               "tp1,pp1,dp2", "tp1,pp3,dp1,stages=1-2-1"}) {
      out.push_back({family, layout});
    }
  }
  // Four ranks share the two key heads of one and the only one of the other.
  out.push_back({Family::Llama, "tp4,pp1,dp1"});
  out.push_back({Family::Qwen, "tp4,pp2,dp1"});
  return out;
}
std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name = tiny_model(info.param.family).name + "_" + info.param.layout;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Layouts, Serves, testing::ValuesIn(cases()), name_of);

TEST(Serving, ReadsAgainWhatAPreemptedRequestLost) {
  // Three requests of 11 tokens in a cache of 24, none reserved: the youngest gives way.
  profiles::Engine greedy = engine();
  greedy.reserved_output = 0;
  const Serving one = serving(Family::Llama, "tp1,pp2,dp1", batch(3), greedy, 24);
  int from_the_front = 0;
  for (const planner::ServingStep& step : one.schedule.steps) {
    for (const planner::RequestWork& work : step.work) from_the_front += work.first == 0 ? 1 : 0;
  }
  EXPECT_GT(from_the_front, 3) << "nothing was preempted";
  expect_the_models_answers(one, answers_of(one, serve_on_threads(one, kOptions)));
}

TEST(Serving, HoldsTheBytesOfWeightsAndCacheAlone) {
  // Llama, tp2: one of two key heads of 8; 4 layers; 2 slots of 11 tokens; keys and values of 4 B.
  const Serving one = serving(Family::Llama, "tp2,pp1,dp1", batch(2));
  for (const ServedRank& rank : serve_on_threads(one, kOptions)) {
    EXPECT_EQ(rank.cache.count, 2 * 4 * 2 * 11 * 8 * 4);
    EXPECT_GT(rank.weights.count, 0);
    EXPECT_GT(rank.peak.count, rank.weights.count + rank.cache.count);
  }
}

TEST(ServingMeasurement, CutsEveryStepInPartsThatAddUp) {
  Serving one = serving(Family::Gpt, "tp2,pp2,dp1", batch(3));
  one.rounds = 3;
  const std::vector<ServedRank> ranks = serve_on_threads(one, kOptions);
  const ServingMeasurement measured = serving_measurement(one, ranks, 1);
  EXPECT_EQ(measured.rounds.size(), 2U);
  ASSERT_EQ(measured.steps.size(), one.schedule.steps.size());
  Seconds sum{0};
  for (const planner::StepTime& step : measured.steps) {
    EXPECT_GT(step.matrices.count(), 0);
    EXPECT_GT(step.attention.count(), 0);
    EXPECT_GT(step.communication.count(), 0);
    EXPECT_GT(step.sum().count(), 0);
    sum += step.sum();
  }
  EXPECT_NEAR(measured.service.duration / sum, 1, 1e-9);
  EXPECT_EQ(measured.memory.size(), 4U);
}

TEST(ServingUnsupported, IsRefusedInOneLineBeforeAnythingRuns) {
  const auto refusal = [](const Serving& asked) {
    try {
      serve_on_threads(asked, kOptions);
    } catch (const profiles::InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const Serving good = serving(Family::Gpt, "tp1,pp1,dp1", batch(1));
  Serving bad = good;
  bad.data_type = profiles::DataType::Fp8;
  EXPECT_NE(refusal(bad).find("fp8"), std::string::npos);
  bad = good;
  bad.model.experts.emplace();
  EXPECT_NE(refusal(bad).find("experts"), std::string::npos);
  bad = good;
  bad.schedule.requests[0].output = 12;  // 17 tokens, 16 positions
  EXPECT_NE(refusal(bad).find("16 positions"), std::string::npos);
  bad = good;
  bad.schedule.steps.clear();
  EXPECT_NE(refusal(bad).find("does not fit"), std::string::npos);
}

}  // namespace
}  // namespace meshplan::runtime
