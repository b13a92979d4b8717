// What attention must be, whoever computes it: by hand, and one way against another.
#include <cmath>
#include <limits>

#include "tests/kernels/compare.h"

namespace meshplan::kernels::testing {
namespace {

/// Both back ends; every claim below holds for each.
template <class Test>
void with_each_back_end(Test test) {
  reference::Queue oracle;
  test([&](const auto& op) { reference::run(op, oracle); });
  cpu::Queue queue;
  test([&](const auto& op) { cpu::run(op, queue); });
}

TEST(Attention, AveragesTheValuesWhenAllScoresAreEqual) {
  // q = 0: every score is 0, so query i yields the mean of v[0..i] and log_sum_exp = log(i + 1).
  with_each_back_end([](auto run) {
    std::vector<float> q(3, 0.0F), k = {1, 2, 3}, v = {3, 6, 12}, out(3), statistic(3);
    run(AttentionForward{
        {.batch = 1, .heads = 1, .kv_heads = 1, .head_dim = 1, .query_len = 3, .kv_len = 3},
        matrix_view(q.data(), 3, 1),
        matrix_view(k.data(), 3, 1),
        matrix_view(v.data(), 3, 1),
        matrix_view(out.data(), 3, 1),
        statistic});
    EXPECT_FLOAT_EQ(out[0], 3.0F);
    EXPECT_FLOAT_EQ(out[1], 4.5F);
    EXPECT_FLOAT_EQ(out[2], 7.0F);
    EXPECT_NEAR(statistic[0], 0.0, 1e-6);
    EXPECT_NEAR(statistic[1], std::log(2.0), 1e-6);
    EXPECT_NEAR(statistic[2], std::log(3.0), 1e-6);
  });
}

TEST(Attention, OfAQueryThatSeesNothingIsZero) {
  with_each_back_end([](auto run) {
    std::vector<float> q = {1, 1}, k = {1, 1}, v = {5, 7}, out = {9, 9}, statistic(2);
    run(AttentionForward{{.batch = 1,
                          .heads = 1,
                          .kv_heads = 1,
                          .head_dim = 1,
                          .query_len = 2,
                          .kv_len = 2,
                          .query_offset = -1},
                         matrix_view(q.data(), 2, 1),
                         matrix_view(k.data(), 2, 1),
                         matrix_view(v.data(), 2, 1),
                         matrix_view(out.data(), 2, 1),
                         statistic});
    EXPECT_EQ(out[0], 0.0F);
    EXPECT_EQ(statistic[0], -std::numeric_limits<float>::infinity());
    EXPECT_FLOAT_EQ(out[1], 5.0F);
  });
}

TEST(Attention, TokenByTokenWithACacheEqualsTheWholeSequence) {
  with_each_back_end([](auto run) {
    constexpr std::int64_t kLength = 19, kHeads = 4, kKvHeads = 2, kDim = 8, kCapacity = 32;
    Arena arena(5);
    const TensorView q = arena.random(kLength, kHeads * kDim);
    const TensorView k = arena.random(kCapacity, kKvHeads * kDim);
    const TensorView v = arena.random(kCapacity, kKvHeads * kDim);
    const TensorView whole = arena.random(kLength, kHeads * kDim);
    const TensorView steps = arena.random(kLength, kHeads * kDim);
    const std::span<float> statistic = arena.vector(kHeads * kLength);
    AttentionShape s{.batch = 1,
                     .heads = kHeads,
                     .kv_heads = kKvHeads,
                     .head_dim = kDim,
                     .query_len = kLength,
                     .kv_len = kLength,
                     .scale = 0.35F};
    run(AttentionForward{s, q, k, v, whole, statistic});
    s.query_len = 1;
    for (std::int64_t i = 0; i < kLength; ++i) {
      s.query_offset = i;
      s.kv_len = i + 1;
      run(AttentionForward{s, rows(ConstTensorView(q), i, 1), k, v, rows(steps, i, 1),
                           statistic.first(kHeads)});
    }
    for (std::int64_t r = 0; r < kLength; ++r)
      for (std::int64_t c = 0; c < kHeads * kDim; ++c)
        EXPECT_NEAR(element(steps, r, c), element(whole, r, c), 1e-5);
  });
}

TEST(Attention, OverTwoBlocksOfKeysMergesToTheWhole) {
  with_each_back_end([](auto run) {
    constexpr std::int64_t kLength = 21, kFirst = 9, kHeads = 2, kDim = 8;
    Arena arena(6);
    const TensorView q = arena.random(kLength, kHeads * kDim);
    const TensorView k = arena.random(kLength, kHeads * kDim);
    const TensorView v = arena.random(kLength, kHeads * kDim);
    const TensorView whole = arena.random(kLength, kHeads * kDim);
    const TensorView part = arena.random(kLength, kHeads * kDim);
    const TensorView other = arena.random(kLength, kHeads * kDim);
    const std::span<float> whole_statistic = arena.vector(kHeads * kLength);
    const std::span<float> statistic = arena.vector(kHeads * kLength);
    const std::span<float> other_statistic = arena.vector(kHeads * kLength);
    AttentionShape s{.batch = 1,
                     .heads = kHeads,
                     .kv_heads = kHeads,
                     .head_dim = kDim,
                     .query_len = kLength,
                     .kv_len = kLength,
                     .scale = 0.35F};
    run(AttentionForward{s, q, k, v, whole, whole_statistic});
    s.kv_len = kFirst;
    run(AttentionForward{s, q, rows(k, 0, kFirst), rows(v, 0, kFirst), part, statistic});
    // Key 0 of the second block is key 9 of the sequence.
    s.kv_len = kLength - kFirst;
    s.query_offset = -kFirst;
    run(AttentionForward{s, q, rows(k, kFirst, s.kv_len), rows(v, kFirst, s.kv_len), other,
                         other_statistic});
    run(AttentionMerge{s, other, other_statistic, part, statistic});
    for (std::int64_t r = 0; r < kLength; ++r)
      for (std::int64_t c = 0; c < kHeads * kDim; ++c)
        EXPECT_NEAR(element(part, r, c), element(whole, r, c), 1e-5);
    for (std::size_t i = 0; i < statistic.size(); ++i)
      EXPECT_NEAR(statistic[i], whole_statistic[i], 1e-5);
  });
}

TEST(Attention, CountsThePairsThatSeeEachOther) {
  // 1 + 2 + 3 + 4 = 10; with two keys before: 3 + 4 + 5 + 6 = 18, of 6 keys.
  AttentionShape s{.query_len = 4, .kv_len = 4};
  EXPECT_EQ(visible_pairs(s), 10);
  s.kv_len = 6;
  s.query_offset = 2;
  EXPECT_EQ(visible_pairs(s), 18);
  s.causal = false;
  EXPECT_EQ(visible_pairs(s), 24);
}

}  // namespace
}  // namespace meshplan::kernels::testing
