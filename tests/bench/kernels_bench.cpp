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
#include "tests/bench/operation_sweeps.h"

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
  double* number() { return &number_; }
  void fill(const TensorView& view, float value) {
    cpu::Queue queue;
    cpu::run(Fill{view, value}, queue);
  }

 private:
  double number_ = 0;
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
void register_memory_bound() {
  sweep_memory_bound([](const std::string& name, auto make) {
    for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
      for (const int exponent : {16, 20, 24}) {
        const std::string full = name + "/" + text(type) + "/2^" + std::to_string(exponent);
        benchmark::RegisterBenchmark(full.c_str(), [=](benchmark::State& state) {
          Memory memory;
          const std::int64_t cols = 1024, rows = (std::int64_t{1} << exponent) / cols;
          time_operation(state, make(memory, rows, cols, type), type);
        });
      }
    }
  });
}

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
