// Every kernel of the host against what the machine can do: memory-bound operations against its
// measured copy bandwidth, GEMM and attention against its fastest GEMM. One thread, as a rank runs.
// Results are checked in tests/kernels; sizes whose tensors fit the caches may exceed 100%.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/cpu/kernels.h"

namespace meshplan::kernels {
namespace {

/// CPU time of this thread: other work on the machine then costs less of the truth.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double seconds(const std::function<void()>& work) {
  const double start = thread_seconds();
  work();
  return thread_seconds() - start;
}

double fastest(int repetitions, const std::function<void()>& work) {
  double best = seconds(work);
  for (int i = 1; i < repetitions; ++i) best = std::min(best, seconds(work));
  return best;
}

/// Bytes read and written a second by a memcpy of 256 MiB, the best of ten.
double copy_bandwidth() {
  static const double value = [] {
    const std::size_t bytes = std::size_t{256} << 20;
    std::vector<char> from(bytes, 1), to(bytes, 2);
    return 2.0 * static_cast<double>(bytes) /
           fastest(10, [&] { std::memcpy(to.data(), from.data(), bytes); });
  }();
  return value;
}

/// Floating-point operations a second of the fastest square GEMM of 512, 1024 and 2048.
double gemm_peak(ElementType type) {
  const auto measured = [](ElementType storage) {
    double best = 0;
    for (const std::int64_t n : {512, 1024, 2048}) {
      std::vector<float> a(static_cast<std::size_t>(n * n), 0.5F), b = a, c = a;
      cpu::Queue queue;
      const auto view = [&](std::vector<float>& memory) {
        return TensorView{memory.data(), n, n, n, storage};
      };
      const Gemm op{.a = view(a), .b = view(b), .c = view(c)};
      cpu::run(op, queue);
      best = std::max(best, flops(op) / fastest(5, [&] { cpu::run(op, queue); }));
    }
    return best;
  };
  static const double f32 = measured(ElementType::F32), bf16 = measured(ElementType::Bf16);
  return type == ElementType::F32 ? f32 : bf16;
}

/// Tensors of one benchmark, filled so that no number is special.
class Memory {
 public:
  TensorView tensor(std::int64_t rows, std::int64_t cols, ElementType type = ElementType::F32) {
    const auto count = static_cast<std::size_t>(rows * cols * size_in_bytes(type) + 3) / 4;
    blocks_.emplace_back(count, 0.0F);
    const TensorView view{blocks_.back().data(), rows, cols, cols, type};
    cpu::Queue queue;
    std::vector<float> row(static_cast<std::size_t>(cols));
    for (std::int64_t c = 0; c < cols; ++c)
      row[static_cast<std::size_t>(c)] = 0.25F + 0.5F * std::sin(static_cast<float>(c));
    for (std::int64_t r = 0; r < rows; ++r)
      cpu::run(Copy{vector_view(row.data(), cols), kernels::rows(view, r, 1)}, queue);
    return view;
  }
  std::span<float> vector(std::int64_t size) {
    return {static_cast<float*>(tensor(1, size).data), static_cast<std::size_t>(size)};
  }
  std::span<const std::int32_t> integers(std::int64_t size, std::int64_t below) {
    auto& values = integers_.emplace_back();
    for (std::int64_t i = 0; i < size; ++i)
      values.push_back(static_cast<std::int32_t>(i * 7919 % below));
    return values;
  }

 private:
  std::vector<std::vector<float>> blocks_;
  std::vector<std::vector<std::int32_t>> integers_;
};

template <class Op>
void time_operation(benchmark::State& state, const Op& op, ElementType type) {
  cpu::Queue queue;
  cpu::run(op, queue);
  const double start = thread_seconds();
  for (auto _ : state) {
    cpu::run(op, queue);
    benchmark::ClobberMemory();
  }
  const double time = (thread_seconds() - start) / static_cast<double>(state.iterations());
  const double byte_rate = static_cast<double>(bytes_moved(op)) / time;
  if (const double flop_rate = flops(Operation(op)) / time; flop_rate > 0) {
    state.counters["GFLOP/s"] = flop_rate * 1e-9;
    state.counters["% of GEMM"] = 100 * flop_rate / gemm_peak(type);
  }
  state.counters["GB/s"] = byte_rate * 1e-9;
  state.counters["% of copy"] = 100 * byte_rate / copy_bandwidth();
}

/// Registers `make(memory, rows, cols, type)` at 2^16, 2^20 and 2^24 elements in rows of 1024.
template <class Make>
void sweep(const std::string& name, Make make) {
  for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
    for (const int exponent : {16, 20, 24}) {
      const std::string full =
          name + (type == ElementType::F32 ? "/f32/2^" : "/bf16/2^") + std::to_string(exponent);
      benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
        Memory memory;
        const std::int64_t cols = 1024, rows = (std::int64_t{1} << exponent) / cols;
        time_operation(state, make(memory, rows, cols, type), type);
      });
    }
  }
}

void register_memory_bound() {
  sweep("bias_forward", [](Memory& m, auto r, auto c, auto t) {
    return BiasForward{m.tensor(r, c, t), m.tensor(1, c), m.tensor(r, c, t)};
  });
  sweep("bias_backward", [](Memory& m, auto r, auto c, auto t) {
    return BiasBackward{m.tensor(r, c, t), m.tensor(1, c)};
  });
  sweep("layer_norm_forward", [](Memory& m, auto r, auto c, auto t) {
    return LayerNormForward{m.tensor(r, c, t), m.tensor(1, c), m.tensor(1, c), 1e-5F,
                            m.tensor(r, c, t), m.vector(r),    m.vector(r)};
  });
  sweep("layer_norm_backward", [](Memory& m, auto r, auto c, auto t) {
    return LayerNormBackward{m.tensor(r, c, t), m.tensor(1, c), m.tensor(r, c, t),
                             m.vector(r),       m.vector(r),    m.tensor(r, c, t),
                             m.tensor(1, c),    m.tensor(1, c)};
  });
  sweep("rms_norm_forward", [](Memory& m, auto r, auto c, auto t) {
    return RmsNormForward{m.tensor(r, c, t), m.tensor(1, c), 1e-5F, m.tensor(r, c, t), m.vector(r)};
  });
  sweep("rms_norm_backward", [](Memory& m, auto r, auto c, auto t) {
    return RmsNormBackward{m.tensor(r, c, t), m.tensor(1, c),    m.tensor(r, c, t),
                           m.vector(r),       m.tensor(r, c, t), m.tensor(1, c)};
  });
  const std::pair<const char*, Activation> kinds[] = {{"relu", Activation::Relu},
                                                      {"squared_relu", Activation::SquaredRelu},
                                                      {"gelu", Activation::Gelu},
                                                      {"gelu_tanh", Activation::GeluTanh}};
  for (const auto& [name, kind] : kinds) {
    sweep(std::string(name) + "_forward", [kind = kind](Memory& m, auto r, auto c, auto t) {
      return ActivationForward{kind, m.tensor(r, c, t), m.tensor(r, c, t)};
    });
    sweep(std::string(name) + "_backward", [kind = kind](Memory& m, auto r, auto c, auto t) {
      return ActivationBackward{kind, m.tensor(r, c, t), m.tensor(r, c, t), m.tensor(r, c, t)};
    });
  }
  sweep("swiglu_forward", [](Memory& m, auto r, auto c, auto t) {
    return GatedActivationForward{Activation::Silu, m.tensor(r, c, t), m.tensor(r, c, t),
                                  m.tensor(r, c, t)};
  });
  sweep("swiglu_backward", [](Memory& m, auto r, auto c, auto t) {
    return GatedActivationBackward{Activation::Silu,  m.tensor(r, c, t), m.tensor(r, c, t),
                                   m.tensor(r, c, t), m.tensor(r, c, t), m.tensor(r, c, t)};
  });
  sweep("rotary", [](Memory& m, auto r, auto c, auto t) {
    return Rotary{.x = m.tensor(r, c, t),
                  .y = m.tensor(r, c, t),
                  .cosine = m.tensor(64, 64),
                  .sine = m.tensor(64, 64),
                  .head_dim = 128,
                  .sequence_len = 64};
  });
  sweep("cross_entropy_max", [](Memory& m, auto r, auto c, auto t) {
    return CrossEntropyMax{m.tensor(r, c, t), m.vector(r)};
  });
  sweep("cross_entropy_sum", [](Memory& m, auto r, auto c, auto t) {
    return CrossEntropySum{m.tensor(r, c, t), m.integers(r, c), 0,
                           m.vector(r),       m.vector(r),      m.vector(r)};
  });
  sweep("cross_entropy_loss", [](Memory& m, auto r, auto c, auto t) {
    return CrossEntropyLoss{m.tensor(r, c, t), m.integers(r, c), 0,    m.vector(r),
                            m.vector(r),       m.vector(r),      1.0F, m.vector(r),
                            m.tensor(r, c, t)};
  });
  sweep("dropout", [](Memory& m, auto r, auto c, auto t) {
    return Dropout{
        .x = m.tensor(r, c, t), .y = m.tensor(r, c, t), .probability = 0.1F, .key = {1, 2}};
  });
  sweep("normal_fill",
        [](Memory& m, auto r, auto c, auto t) { return NormalFill{.y = m.tensor(r, c, t)}; });
  sweep("embedding_forward", [](Memory& m, auto r, auto c, auto t) {
    return EmbeddingForward{
        .ids = m.integers(r, r), .table = m.tensor(r, c, t), .y = m.tensor(r, c, t)};
  });
  sweep("embedding_backward", [](Memory& m, auto r, auto c, auto t) {
    return EmbeddingBackward{
        .ids = m.integers(r, r), .dy = m.tensor(r, c, t), .dtable = m.tensor(r, c)};
  });
  sweep("residual_add", [](Memory& m, auto r, auto c, auto t) {
    return ResidualAdd{m.tensor(r, c, t), m.tensor(r, c, t), m.tensor(r, c, t)};
  });
  sweep("copy", [](Memory& m, auto r, auto c, auto t) {
    return Copy{m.tensor(r, c, t), m.tensor(r, c, t)};
  });
  sweep("fill", [](Memory& m, auto r, auto c, auto t) { return Fill{m.tensor(r, c, t), 1.0F}; });
  sweep("adamw", [](Memory& m, auto r, auto c, auto t) {
    AdamW op;
    op.parameter = m.tensor(r, c);
    op.first_moment = m.tensor(r, c);
    op.second_moment = m.tensor(r, c);
    cpu::Queue queue;
    cpu::run(Fill{op.second_moment, 1.0F}, queue);
    op.gradient = m.tensor(r, c, t);
    if (t == ElementType::Bf16) op.copy = m.tensor(r, c, t);
    return op;
  });
  static double sum = 0;
  sweep("sum_of_squares", [](Memory& m, auto r, auto c, auto t) {
    return SumOfSquares{m.tensor(r, c, t), &sum};
  });
}

const char* text(ElementType type) { return type == ElementType::F32 ? "f32" : "bf16"; }

void register_gemm() {
  struct Shape {
    std::int64_t m, n, k;
  };
  for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
    for (const Shape s : {Shape{1, 3072, 768},
                          {64, 64, 64},
                          {512, 2304, 768},
                          {512, 3072, 768},
                          {512, 768, 3072},
                          {1024, 1024, 1024},
                          {597, 43, 768}}) {
      for (const char* pass : {"forward", "input_gradient", "weight_gradient"}) {
        const std::string full = std::string("gemm_") + pass + "/" + text(type) + "/" +
                                 std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                                 std::to_string(s.k);
        benchmark::RegisterBenchmark(full.c_str(), [=, kind = pass[0]](benchmark::State& state) {
          Memory memory;
          Gemm op;
          if (kind == 'f') {
            op.a = memory.tensor(s.m, s.k, type);
            op.b = memory.tensor(s.k, s.n, type);
            op.c = memory.tensor(s.m, s.n, type);
            op.bias = memory.tensor(1, s.n, type);
          } else if (kind == 'i') {
            op.a = memory.tensor(s.m, s.n, type);
            op.b = memory.tensor(s.k, s.n, type);
            op.c = memory.tensor(s.m, s.k, type);
            op.transpose_b = true;
          } else {
            op.a = memory.tensor(s.m, s.k, type);
            op.b = memory.tensor(s.m, s.n, type);
            op.c = memory.tensor(s.k, s.n);
            op.transpose_a = op.accumulate = true;
          }
          time_operation(state, op, type);
        });
      }
    }
  }
}

void register_attention() {
  const std::pair<const char*, AttentionShape> shapes[] = {{"s512_h8_d64",
                                                            {.batch = 1,
                                                             .heads = 8,
                                                             .kv_heads = 8,
                                                             .head_dim = 64,
                                                             .query_len = 512,
                                                             .kv_len = 512,
                                                             .scale = 0.125F}},
                                                           {"s2048_h4_d128",
                                                            {.batch = 1,
                                                             .heads = 4,
                                                             .kv_heads = 4,
                                                             .head_dim = 128,
                                                             .query_len = 2048,
                                                             .kv_len = 2048,
                                                             .scale = 0.09F}},
                                                           {"decode_kv4096_h32_kv8_d128",
                                                            {.batch = 2,
                                                             .heads = 32,
                                                             .kv_heads = 8,
                                                             .head_dim = 128,
                                                             .query_len = 1,
                                                             .kv_len = 4096,
                                                             .query_offset = 4095,
                                                             .scale = 0.09F}}};
  for (const auto& [name, shape] : shapes) {
    for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
      const std::string suffix = std::string("/") + text(type) + "/" + name;
      const auto forward = [shape = shape, type](Memory& memory) {
        AttentionForward op;
        op.shape = shape;
        op.q = memory.tensor(shape.batch * shape.query_len, shape.heads * shape.head_dim, type);
        op.k = memory.tensor(shape.batch * shape.kv_len, shape.kv_heads * shape.head_dim, type);
        op.v = memory.tensor(shape.batch * shape.kv_len, shape.kv_heads * shape.head_dim, type);
        op.out = memory.tensor(op.q.rows, op.q.cols, type);
        op.log_sum_exp = memory.vector(shape.batch * shape.heads * shape.query_len);
        return op;
      };
      benchmark::RegisterBenchmark(("attention_forward" + suffix).c_str(),
                                   [=](benchmark::State& state) {
                                     Memory memory;
                                     const AttentionForward op = forward(memory);
                                     time_operation(state, op, ElementType::F32);
                                   });
      if (shape.query_len == 1) continue;
      benchmark::RegisterBenchmark(
          ("attention_backward" + suffix).c_str(), [=](benchmark::State& state) {
            Memory memory;
            const AttentionForward op = forward(memory);
            cpu::Queue queue;
            cpu::run(op, queue);
            const auto like = [&](const ConstTensorView& view) {
              return memory.tensor(view.rows, view.cols, type);
            };
            time_operation(state,
                           AttentionBackward{op.shape, op.q, op.k, op.v, op.out, like(op.q),
                                             op.log_sum_exp, like(op.q), like(op.k), like(op.v)},
                           ElementType::F32);
          });
    }
  }
}

}  // namespace

int run_benchmarks(int argc, char** argv) {
  register_memory_bound();
  register_gemm();
  register_attention();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("gemm", std::string(cpu::gemm_library()));
  benchmark::AddCustomContext("instructions", std::string(cpu::name(cpu::best_instruction_set())));
  benchmark::AddCustomContext("copy GB/s", std::to_string(copy_bandwidth() * 1e-9));
  benchmark::AddCustomContext("gemm f32 GFLOP/s",
                              std::to_string(gemm_peak(ElementType::F32) * 1e-9));
  benchmark::AddCustomContext("gemm bf16 GFLOP/s",
                              std::to_string(gemm_peak(ElementType::Bf16) * 1e-9));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace meshplan::kernels

int main(int argc, char** argv) { return meshplan::kernels::run_benchmarks(argc, argv); }
