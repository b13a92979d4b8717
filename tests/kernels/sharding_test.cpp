// What tensor parallelism rests on: the shards of an operation make the whole.
#include <cmath>
#include <thread>

#include "kernels/random.h"
#include "tests/kernels/compare.h"

namespace meshplan::kernels::testing {
namespace {

TEST(Threefry, GivesThePublishedWords) {
  // Random123's known answers for threefry4x32 with 13 rounds. Counter and key 0:
  EXPECT_EQ(threefry({0, 0}, 0, 0),
            (std::array<std::uint32_t, 4>{0x531c7e4f, 0x39491ee5, 0x2c855a92, 0x3d6abf9a}));
}

TEST(Dropout, OfAShardIsThatPartOfTheWhole) {
  constexpr std::int64_t kRows = 11, kCols = 200, kFirstRow = 4, kFirstColumn = 57;
  constexpr std::int64_t kShardRows = 5, kShardCols = 90;
  Arena arena(1);
  const TensorView x = arena.random(kRows, kCols), whole = arena.random(kRows, kCols);
  const TensorView shard = arena.random(kShardRows, kShardCols);
  cpu::Queue queue;
  const RandomKey key{42, 7};
  cpu::run(Dropout{.x = x, .y = whole, .probability = 0.5F, .key = key}, queue);
  cpu::run(Dropout{.x = columns(rows(x, kFirstRow, kShardRows), kFirstColumn, kShardCols),
                   .y = shard,
                   .probability = 0.5F,
                   .key = key,
                   .first_row = kFirstRow,
                   .first_column = kFirstColumn},
           queue);
  for (std::int64_t r = 0; r < kShardRows; ++r)
    for (std::int64_t c = 0; c < kShardCols; ++c)
      EXPECT_EQ(element(shard, r, c), element(whole, kFirstRow + r, kFirstColumn + c));
}

TEST(Dropout, DropsTheShareItIsAskedFor) {
  // 200000 draws at p = 0.1: the share has standard deviation sqrt(0.1 * 0.9 / 200000) = 6.7e-4;
  // five of them are 0.0034. Kept elements are 1 / 0.9.
  std::vector<float> x(200000, 1.0F), y(x.size());
  cpu::Queue queue;
  cpu::run(Dropout{.x = matrix_view(x.data(), 1000, 200),
                   .y = matrix_view(y.data(), 1000, 200),
                   .probability = 0.1F,
                   .key = {3, 4}},
           queue);
  double dropped = 0;
  for (const float value : y) {
    if (value == 0.0F)
      ++dropped;
    else
      EXPECT_FLOAT_EQ(value, 1.0F / 0.9F);
  }
  EXPECT_NEAR(dropped / 200000, 0.1, 0.0034);
}

TEST(AttentionDropout, OfTheSecondHeadsAndSequenceIsThatPartOfTheWhole) {
  // Two sequences and four heads at once, then sequence 1 and heads 2 and 3 alone.
  constexpr std::int64_t kLength = 21, kDim = 4;
  AttentionShape s{.batch = 2,
                   .heads = 4,
                   .kv_heads = 2,
                   .head_dim = kDim,
                   .query_len = kLength,
                   .kv_len = kLength};
  Arena arena(3);
  const TensorView q = arena.random(2 * kLength, 4 * kDim), k = arena.random(2 * kLength, 2 * kDim);
  const TensorView v = arena.random(2 * kLength, 2 * kDim);
  const TensorView whole = arena.random(2 * kLength, 4 * kDim);
  const TensorView part = arena.random(kLength, 2 * kDim);
  AttentionDropout dropout{.probability = 0.3F, .key = {42, 7}, .model_heads = 4};
  cpu::Queue queue;
  cpu::run(AttentionForward{s, q, k, v, whole, arena.vector(8 * kLength), dropout}, queue);
  s.batch = 1;
  s.heads = 2;
  s.kv_heads = 1;
  dropout.first_sequence = 1;
  dropout.first_head = 2;
  const auto share = [&](const TensorView& view, std::int64_t heads) {
    return columns(rows(view, kLength, kLength), heads * kDim, heads * kDim);
  };
  cpu::run(AttentionForward{s, share(q, 2), share(k, 1), share(v, 1), part,
                            arena.vector(2 * kLength), dropout},
           queue);
  for (std::int64_t r = 0; r < kLength; ++r)
    for (std::int64_t c = 0; c < 2 * kDim; ++c)
      EXPECT_NEAR(element(part, r, c), element(whole, kLength + r, 2 * kDim + c), 1e-5);
}

TEST(AttentionDropout, DropsTheShareItIsAskedForAndKeepsTheMean) {
  // Values of 1 and equal scores: an output is the number of kept keys of 1000 over 1000 * 0.7, of
  // mean 1 and standard deviation sqrt(0.3 / 0.7 / 1000) = 0.0207; over 100 independent queries
  // 0.00207, five of which are allowed.
  const AttentionShape s{.batch = 1,
                         .heads = 1,
                         .kv_heads = 1,
                         .head_dim = 1,
                         .query_len = 100,
                         .kv_len = 1000,
                         .causal = false};
  std::vector<float> q(100, 0.0F), k(1000, 1.0F), v(1000, 1.0F), out(100), statistic(100);
  cpu::Queue queue;
  cpu::run(AttentionForward{s,
                            matrix_view(q.data(), 100, 1),
                            matrix_view(k.data(), 1000, 1),
                            matrix_view(v.data(), 1000, 1),
                            matrix_view(out.data(), 100, 1),
                            statistic,
                            {.probability = 0.3F, .key = {5, 6}, .model_heads = 1}},
           queue);
  double mean = 0;
  for (const float value : out) mean += static_cast<double>(value) / 100;
  EXPECT_NEAR(mean, 1, 0.0104);
  EXPECT_NE(out[0], out[1]);
  EXPECT_NEAR(statistic[0], std::log(1000.0), 1e-5);
}

TEST(NormalFill, HasItsMomentsAndTheSameShards) {
  // 100000 draws of N(2, 3): the mean has standard deviation 3 / sqrt(1e5) = 0.0095, the standard
  // deviation 3 / sqrt(2e5) = 0.0067; five of each allowed.
  std::vector<float> y(100000), shard(10 * 33);
  cpu::Queue queue;
  cpu::run(NormalFill{.y = matrix_view(y.data(), 500, 200), .mean = 2, .stddev = 3, .key = {1, 2}},
           queue);
  double mean = 0, variance = 0;
  for (const float value : y) mean += value / 1e5;
  for (const float value : y) variance += (value - mean) * (value - mean) / 1e5;
  EXPECT_NEAR(mean, 2, 0.048);
  EXPECT_NEAR(std::sqrt(variance), 3, 0.034);
  cpu::run(NormalFill{.y = matrix_view(shard.data(), 10, 33),
                      .mean = 2,
                      .stddev = 3,
                      .key = {1, 2},
                      .first_row = 100,
                      .first_column = 150},
           queue);
  for (std::size_t r = 0; r < 10; ++r)
    for (std::size_t c = 0; c < 33; ++c) EXPECT_EQ(shard[r * 33 + c], y[(100 + r) * 200 + 150 + c]);
}

TEST(CrossEntropy, OverASplitVocabularyIsThatOverTheWhole) {
  constexpr std::int64_t kRows = 13, kClasses = 101, kFirst = 40;
  Arena arena(2);
  const TensorView logits = arena.random(kRows, kClasses, ElementType::F32, 4.0);
  const std::span<const std::int32_t> targets = arena.integers(kRows, 0, kClasses - 1);
  cpu::Queue queue;

  const auto staged = [&](std::vector<std::pair<std::int64_t, std::int64_t>> parts,
                          const TensorView& dlogits) {
    std::vector<float> max(kRows, -1e30F), sum(kRows), target(kRows), loss(kRows);
    for (const auto& [first, count] : parts) {
      std::vector<float> local(kRows);
      cpu::run(CrossEntropyMax{columns(logits, first, count), local}, queue);
      for (std::size_t r = 0; r < kRows; ++r) max[r] = std::max(max[r], local[r]);
    }
    for (const auto& [first, count] : parts) {
      std::vector<float> local_sum(kRows), local_target(kRows);
      cpu::run(CrossEntropySum{columns(logits, first, count), targets, first, max, local_sum,
                               local_target},
               queue);
      for (std::size_t r = 0; r < kRows; ++r) {
        sum[r] += local_sum[r];
        target[r] += local_target[r];
      }
    }
    for (const auto& [first, count] : parts)
      cpu::run(CrossEntropyLoss{columns(logits, first, count), targets, first, max, sum, target,
                                1.0F / kRows, loss, columns(dlogits, first, count)},
               queue);
    return loss;
  };

  const TensorView whole = arena.random(kRows, kClasses), split = arena.random(kRows, kClasses);
  const std::vector<float> loss = staged({{0, kClasses}}, whole);
  const std::vector<float> split_loss = staged({{0, kFirst}, {kFirst, kClasses - kFirst}}, split);
  for (std::int64_t r = 0; r < kRows; ++r) {
    // The definition: log sum_c exp(logit_c) - logit_target, in double.
    double sum = 0, gradient = 0;
    const auto row = static_cast<std::size_t>(r);
    for (std::int64_t c = 0; c < kClasses; ++c) sum += std::exp(element(logits, r, c));
    EXPECT_NEAR(loss[row], std::log(sum) - element(logits, r, targets[row]), 1e-5);
    EXPECT_NEAR(split_loss[row], loss[row], 2e-6);
    for (std::int64_t c = 0; c < kClasses; ++c) {
      EXPECT_NEAR(element(split, r, c), element(whole, r, c), 1e-7);
      gradient += element(whole, r, c);
    }
    EXPECT_NEAR(gradient, 0.0, 1e-6);  // probabilities add up to the one-hot target
  }
}

TEST(CrossEntropy, MayOverwriteTheLogits) {
  constexpr std::int64_t kRows = 5, kClasses = 43;
  Arena arena(2);
  const TensorView logits = arena.random(kRows, kClasses), apart = arena.random(kRows, kClasses);
  const auto targets = arena.integers(kRows, 0, kClasses - 1);
  std::vector<float> max(kRows, 5.0F), sum(kRows), target(kRows), loss(kRows);
  cpu::Queue queue;
  cpu::run(CrossEntropySum{logits, targets, 0, max, sum, target}, queue);
  CrossEntropyLoss op{logits, targets, 0, max, sum, target, 1.0F, loss, apart};
  cpu::run(op, queue);
  op.dlogits = logits;
  cpu::run(op, queue);
  for (std::int64_t r = 0; r < kRows; ++r)
    for (std::int64_t c = 0; c < kClasses; ++c)
      EXPECT_EQ(element(logits, r, c), element(apart, r, c));
}

TEST(Embedding, OverASplitVocabularyAddsUpToTheWhole) {
  Arena arena(4);
  const TensorView table = arena.random(30, 43), whole = arena.random(17, 43);
  const TensorView first = arena.random(17, 43), second = arena.random(17, 43);
  const auto ids = arena.integers(17, 0, 29);
  cpu::Queue queue;
  cpu::run(EmbeddingForward{.ids = ids, .table = table, .y = whole}, queue);
  cpu::run(EmbeddingForward{.ids = ids, .table = rows(table, 0, 11), .y = first}, queue);
  cpu::run(EmbeddingForward{.ids = ids, .first_id = 11, .table = rows(table, 11, 19), .y = second},
           queue);
  for (std::int64_t r = 0; r < 17; ++r)
    for (std::int64_t c = 0; c < 43; ++c)
      EXPECT_EQ(element(first, r, c) + element(second, r, c), element(whole, r, c));
}

TEST(Gemm, OverColumnsThenRowsOfTheWeightsIsTheWhole) {
  // y = (x A) B with A cut by columns and B by rows: the partial products of the ranks add up.
  Arena arena(8);
  const TensorView x = arena.random(19, 24), a = arena.random(24, 40), b = arena.random(40, 24);
  const TensorView hidden = arena.random(19, 40), whole = arena.random(19, 24);
  const TensorView sum = arena.random(19, 24);
  cpu::Queue queue;
  cpu::run(Gemm{.a = x, .b = a, .c = hidden}, queue);
  cpu::run(Gemm{.a = hidden, .b = b, .c = whole}, queue);
  for (const auto& [first, count] : {std::pair{0, 16}, {16, 24}}) {
    const TensorView local = columns(hidden, first, count);
    cpu::run(Gemm{.a = x, .b = columns(a, first, count), .c = local}, queue);
    cpu::run(Gemm{.a = local, .b = rows(b, first, count), .c = sum, .accumulate = first > 0},
             queue);
  }
  for (std::int64_t r = 0; r < 19; ++r)
    for (std::int64_t c = 0; c < 24; ++c)
      EXPECT_NEAR(element(sum, r, c), element(whole, r, c), 1e-4);
}

TEST(Results, AreTheSameBitsOnEveryThread) {
  Arena arena(9);
  const TensorView x = arena.random(300, 259), w = arena.random(259, 131);
  const auto product = [&] {
    std::vector<float> c(300 * 131);
    cpu::Queue queue;
    cpu::run(Gemm{.a = x, .b = w, .c = matrix_view(c.data(), 300, 131)}, queue);
    double norm = 0;
    cpu::run(SumOfSquares{matrix_view(c.data(), 300, 131), &norm}, queue);
    return std::pair{c, norm};
  };
  const auto expected = product();
  std::array<std::pair<std::vector<float>, double>, 3> found;
  std::vector<std::thread> threads;
  for (auto& result : found) threads.emplace_back([&] { result = product(); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : found) EXPECT_EQ(result, expected);
}

}  // namespace
}  // namespace meshplan::kernels::testing
