#include <array>

#include "kernels/reference/kernels.h"
#include "tests/kernels/operation_cases.h"

namespace meshplan::kernels::testing {
namespace {

struct Case {
  const char* what;
  AttentionShape shape;
  std::int64_t kv_capacity;
  float dropout = 0.0F;
};

/// Lengths that fit no tile (128 queries, 256 keys), GQA, decoding, blocks of keys ahead of
/// queries.
std::vector<Case> cases() {
  return {
      {"causal",
       {.batch = 2,
        .heads = 2,
        .kv_heads = 2,
        .head_dim = 16,
        .query_len = 37,
        .kv_len = 37,
        .scale = 0.25F},
       37},
      {"more than a tile",
       {.batch = 1,
        .heads = 2,
        .kv_heads = 1,
        .head_dim = 8,
        .query_len = 131,
        .kv_len = 277,
        .query_offset = 146,
        .scale = 0.35F},
       277},
      {"more than a tile, dropped",
       {.batch = 2,
        .heads = 2,
        .kv_heads = 1,
        .head_dim = 8,
        .query_len = 131,
        .kv_len = 277,
        .query_offset = 146,
        .scale = 0.35F},
       277,
       0.25F},
      {"not causal, dropped",
       {.batch = 1,
        .heads = 1,
        .kv_heads = 1,
        .head_dim = 5,
        .query_len = 7,
        .kv_len = 83,
        .causal = false,
        .scale = 0.4F},
       83,
       0.5F},
      {"decoding, dropped",
       {.batch = 2,
        .heads = 4,
        .kv_heads = 2,
        .head_dim = 16,
        .query_len = 1,
        .kv_len = 300,
        .query_offset = 299,
        .scale = 0.25F},
       300,
       0.25F},
      {"decoding, heads in fives, half a block of 32 left",
       {.batch = 2,
        .heads = 10,
        .kv_heads = 2,
        .head_dim = 80,
        .query_len = 1,
        .kv_len = 11,
        .query_offset = 10,
        .scale = 0.11F},
       13},
      {"decoding, head of 43",
       {.batch = 1,
        .heads = 3,
        .kv_heads = 1,
        .head_dim = 43,
        .query_len = 1,
        .kv_len = 258,
        .query_offset = 257,
        .scale = 0.15F},
       258},
      {"GQA, head of 43",
       {.batch = 2,
        .heads = 6,
        .kv_heads = 2,
        .head_dim = 43,
        .query_len = 9,
        .kv_len = 9,
        .scale = 0.15F},
       9},
      {"not causal",
       {.batch = 1,
        .heads = 1,
        .kv_heads = 1,
        .head_dim = 5,
        .query_len = 7,
        .kv_len = 11,
        .causal = false,
        .scale = 0.4F},
       11},
      {"decoding",
       {.batch = 3,
        .heads = 4,
        .kv_heads = 2,
        .head_dim = 16,
        .query_len = 1,
        .kv_len = 300,
        .query_offset = 299,
        .scale = 0.25F},
       512},
      {"prefill after a prefix",
       {.batch = 2,
        .heads = 2,
        .kv_heads = 2,
        .head_dim = 8,
        .query_len = 5,
        .kv_len = 12,
        .query_offset = 7,
        .scale = 0.35F},
       20},
      {"keys partly ahead",
       {.batch = 1,
        .heads = 2,
        .kv_heads = 2,
        .head_dim = 8,
        .query_len = 6,
        .kv_len = 6,
        .query_offset = -3,
        .scale = 0.35F},
       6},
      {"rows of scores that no group of threads keeps",
       {.batch = 1,
        .heads = 1,
        .kv_heads = 1,
        .head_dim = 8,
        .query_len = 3,
        .kv_len = 4500,
        .query_offset = 4497,
        .scale = 0.35F},
       4500},
      {"one of everything",
       {.batch = 1,
        .heads = 1,
        .kv_heads = 1,
        .head_dim = 1,
        .query_len = 1,
        .kv_len = 1,
        .scale = 1.0F},
       1},
  };
}

/// As on the second of two ranks that share the heads, in the middle of a batch.
AttentionDropout dropout_of(const Case& c) {
  return {.probability = c.dropout,
          .key = {42, 7},
          .first_sequence = 3,
          .first_head = c.shape.heads,
          .model_heads = 2 * c.shape.heads};
}

/// Adds what rounding probabilities to bf16 costs: 2^-9 of each, at most that of the largest |v|,
/// here about 4; of gradients, whose largest elements are near 16, the like.
Tolerance with_rounding(Tolerance tolerance, ElementType type, double bf16_rounding) {
  if (type == ElementType::Bf16) tolerance.absolute += bf16_rounding;
  return tolerance;
}

AttentionForward forward_of(const Case& c, ElementType type, Arena& arena, double bf16_rounding) {
  const AttentionShape& s = c.shape;
  AttentionForward op;
  op.shape = s;
  op.q = arena.random(s.batch * s.query_len, s.heads * s.head_dim, type);
  op.k = arena.random(s.batch * c.kv_capacity, s.kv_heads * s.head_dim, type);
  op.v = arena.random(s.batch * c.kv_capacity, s.kv_heads * s.head_dim, type);
  op.out = arena.output(s.batch * s.query_len, s.heads * s.head_dim, type,
                        with_rounding({2e-5, 2e-5}, type, 4 * bf16_rounding));
  op.log_sum_exp = arena.output_vector(s.batch * s.heads * s.query_len, {1e-5, 1e-5});
  op.dropout = dropout_of(c);
  return op;
}

void attention_forward(const Expect& expect, double bf16_rounding) {
  for (const Case& c : cases())
    for (const ElementType type : {ElementType::F32, ElementType::Bf16})
      expect(c.what, [&](Arena& arena) { return forward_of(c, type, arena, bf16_rounding); });
}

void attention_backward(const Expect& expect, double bf16_rounding) {
  for (const Case& c : cases()) {
    for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
      expect(c.what, [&](Arena& arena) {
        const AttentionForward forward = forward_of(c, type, arena, bf16_rounding);
        reference::Queue queue;
        reference::run(forward, queue);
        AttentionBackward op;
        op.shape = c.shape;
        op.q = forward.q;
        op.k = forward.k;
        op.v = forward.v;
        op.out = forward.out;
        op.log_sum_exp = forward.log_sum_exp;
        op.dropout = forward.dropout;
        op.dout = arena.random(forward.out.rows, forward.out.cols, type);
        op.dq = arena.output(forward.q.rows, forward.q.cols, type,
                             with_rounding({2e-4, 1e-4}, type, 16 * bf16_rounding));
        op.dk = arena.output(forward.k.rows, forward.k.cols, type,
                             with_rounding({5e-4, 1e-4}, type, 16 * bf16_rounding));
        op.dv = arena.output(forward.v.rows, forward.v.cols, type,
                             with_rounding({5e-4, 1e-4}, type, 16 * bf16_rounding));
        return op;
      });
    }
  }
}

void attention_merge(const Expect& expect, double) {
  for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
    expect("merge", [&](Arena& arena) {
      const AttentionShape s{.batch = 2, .heads = 3, .kv_heads = 3, .head_dim = 43, .query_len = 5};
      return AttentionMerge{s, arena.random(10, 129, type), arena.vector(30),
                            arena.output(10, 129, type, {1e-6, 1e-6}),
                            arena.output_vector(30, {1e-6, 1e-6})};
    });
  }
}

constexpr std::array kTables = {
    AttentionCaseTable{"attention_forward", attention_forward},
    AttentionCaseTable{"attention_backward", attention_backward},
    AttentionCaseTable{"attention_merge", attention_merge},
};

}  // namespace

std::span<const AttentionCaseTable> attention_cases() { return kTables; }

}  // namespace meshplan::kernels::testing
