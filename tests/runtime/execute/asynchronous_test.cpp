// The same interpreter on queues that run beside each other: losses and gradients of every layout
// are those of queues that do not. Sums are in the same order, so they are the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/execute/run_on_threads.h"
#include "runtime/execute/warm_up.h"
#include "stream_device.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

std::vector<RankResult> run_on_streams(const Training& training) {
  struct Shared {
    Training training;
    std::vector<RankResult> results;
  };
  const int ranks = training.layout.devices();
  const auto shared = std::make_shared<Shared>(Shared{training, std::vector<RankResult>(ranks)});
  run_in_process(ranks, {.timeout = profiles::Seconds{60}, .take_turns = false, .in_words = {}},
                 [shared](Communicator& host) {
                   StreamDevice device(host);
                   shared->results[host.rank()] = run_rank(shared->training, device);
                 });
  return std::move(shared->results);
}

class Asynchronous : public testing::TestWithParam<const char*> {};

TEST_P(Asynchronous, GivesTheSameBits) {
  for (const Family family : {Family::Gpt, Family::Llama}) {
    const Training training = tiny_training(tiny_model(family), GetParam());
    const std::vector<RankResult> expected = run_on_threads(training, {});
    const std::vector<RankResult> found = run_on_streams(training);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t r = 0; r < found.size(); ++r) {
      EXPECT_EQ(found[r].losses, expected[r].losses) << "rank " << r;
      ASSERT_EQ(found[r].gradients.size(), expected[r].gradients.size());
      for (std::size_t g = 0; g < found[r].gradients.size(); ++g) {
        EXPECT_EQ(found[r].gradients[g].values, expected[r].gradients[g].values)
            << expected[r].gradients[g].name << ", rank " << r;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, Asynchronous,
    testing::Values("tp1,pp1,dp1,mbs2", "tp2,pp1,dp1,mbs2,sp", "tp1,pp1,dp2,mbs2,overlap=grad",
                    "tp1,pp1,dp2,mbs1,zero1,overlap=grad+param", "tp1,pp2,dp1,mbs1",
                    "tp1,pp4,dp1,mbs1", "tp1,pp2,dp1,mbs1,vpp2", "tp1,pp2,dp1,mbs1,schedule=gpipe",
                    "tp1,pp2,dp1,mbs1,schedule=zb-v", "tp1,pp4,dp1,mbs1,schedule=zb-h1",
                    "tp2,pp2,dp2,mbs1,sp,zero1,overlap=grad+param",
                    "tp2,pp2,dp2,mbs1,vpp2,sp,recompute=full,zero1,overlap=grad",
                    "tp1,pp2,dp4,mbs1,zero1,overlap=grad+param"));

using testing::ElementsAre;

TEST(CommunicatingPairs, AreThoseOfTheSchedule) {
  // Three stages in a row: activations 0 -> 1 -> 2, gradients back.
  const Training row = tiny_training(tiny_model(Family::Gpt), "tp1,pp3,dp1,mbs2,stages=1-2-1");
  EXPECT_THAT(communicating_pairs(row.schedule),
              ElementsAre(CommunicatingPair{false, 1, 0}, CommunicatingPair{false, 2, 1},
                          CommunicatingPair{true, 0, 1}, CommunicatingPair{true, 1, 2}));
  // Two chunks a stage on two stages: chunk 1 (stage 1) also hands on to chunk 2 (stage 0).
  const Training ring = tiny_training(tiny_model(Family::Gpt), "tp1,pp2,dp1,mbs1,vpp2");
  EXPECT_THAT(communicating_pairs(ring.schedule),
              ElementsAre(CommunicatingPair{false, 0, 1}, CommunicatingPair{false, 1, 0},
                          CommunicatingPair{true, 0, 1}, CommunicatingPair{true, 1, 0}));
  const Training one = tiny_training(tiny_model(Family::Gpt), "tp1,pp1,dp1,mbs1");
  EXPECT_TRUE(communicating_pairs(one.schedule).empty());
}

}  // namespace
}  // namespace meshplan::runtime
