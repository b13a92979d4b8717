// Every kernel of the GPU against what the device can do: memory-bound operations against its
// measured copy bandwidth, GEMM and attention against its fastest GEMM. Results are checked in
// tests/kernels/cuda; sizes whose tensors fit the L2 cache may exceed 100%.
#include <benchmark/benchmark.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/kernels.h"
#include "tests/bench/operation_sweeps.h"

namespace meshplan::kernels {
namespace {

using cuda::check;

cuda::Queue& queue() {
  static cuda::Queue only(0, nullptr);
  return only;
}

/// Seconds of the device for `work`, issued `repetitions` times in a row: the gaps between launches
/// are hidden where the kernels are longer than those.
double seconds(int repetitions, const std::function<void()>& work) {
  static const auto make_event = [] {
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event), "cudaEventCreate");
    return event;
  };
  static const cudaEvent_t before = make_event(), after = make_event();
  check(cudaEventRecord(before, queue().stream()), "cudaEventRecord");
  for (int i = 0; i < repetitions; ++i) work();
  check(cudaEventRecord(after, queue().stream()), "cudaEventRecord");
  check(cudaEventSynchronize(after), "cudaEventSynchronize");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, before, after), "cudaEventElapsedTime");
  return 1e-3 * static_cast<double>(milliseconds) / repetitions;
}

double fastest(const std::function<void()>& work) {
  double best = seconds(2, work);
  for (int i = 0; i < 10; ++i) best = std::min(best, seconds(3, work));
  return best;
}

/// Tensors of one benchmark, standard normal numbers.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (void* block : blocks_) cudaFree(block);
  }

  TensorView tensor(std::int64_t rows, std::int64_t cols, ElementType type = ElementType::F32) {
    const TensorView view{allocate(rows * cols * size_in_bytes(type)), rows, cols, cols, type};
    cuda::run(NormalFill{.y = view, .key = {1, blocks_.size()}}, queue());
    return view;
  }
  std::span<float> vector(std::int64_t size) {
    return {static_cast<float*>(tensor(1, size).data), static_cast<std::size_t>(size)};
  }
  std::span<const std::int32_t> integers(std::int64_t size, std::int64_t below) {
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < size; ++i)
      values.push_back(static_cast<std::int32_t>(i * 7919 % below));
    auto* memory = static_cast<std::int32_t*>(allocate(4 * size));
    check(cudaMemcpy(memory, values.data(), 4 * values.size(), cudaMemcpyHostToDevice),
          "cudaMemcpy");
    return {memory, values.size()};
  }
  double* number() {
    void* memory = allocate(sizeof(double));
    check(cudaMemset(memory, 0, sizeof(double)), "cudaMemset");
    return static_cast<double*>(memory);
  }
  void fill(const TensorView& view, float value) { cuda::run(Fill{view, value}, queue()); }

 private:
  void* allocate(std::int64_t bytes) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, static_cast<std::size_t>(bytes)), "cudaMalloc");
    blocks_.push_back(memory);
    return memory;
  }

  std::vector<void*> blocks_;
};

/// Bytes read and written a second by a copy of 1 GiB, the best of ten.
double copy_bandwidth() {
  static const double value = [] {
    Memory memory;
    const std::int64_t count = std::int64_t{1} << 28;
    const TensorView from = memory.tensor(1, count), to = memory.tensor(1, count);
    return 2.0 * static_cast<double>(from.bytes()) / fastest([&] {
             check(cudaMemcpyAsync(to.data, from.data, static_cast<std::size_t>(from.bytes()),
                                   cudaMemcpyDeviceToDevice, queue().stream()),
                   "cudaMemcpyAsync");
           });
  }();
  return value;
}

/// Floating-point operations a second of the fastest square GEMM of 4096 and 8192.
double gemm_peak(ElementType type) {
  static std::optional<double> of_type[2];
  std::optional<double>& peak = of_type[type == ElementType::Bf16 ? 1 : 0];
  if (peak) return *peak;
  double best = 0;
  for (const std::int64_t n : {4096, 8192}) {
    Memory memory;
    const Gemm op{.a = memory.tensor(n, n, type),
                  .b = memory.tensor(n, n, type),
                  .c = memory.tensor(n, n, type)};
    best = std::max(best, flops(op) / fastest([&] { cuda::run(op, queue()); }));
  }
  peak = best;
  return best;
}

template <class Op>
void time_operation(benchmark::State& state, const Op& op, ElementType type) {
  constexpr int kInARow = 10;
  seconds(1, [&] { cuda::run(op, queue()); });
  double total = 0;
  for (auto _ : state) {
    const double time = seconds(kInARow, [&] { cuda::run(op, queue()); });
    state.SetIterationTime(time);
    total += time;
  }
  const double time = total / static_cast<double>(state.iterations());
  const double byte_rate = static_cast<double>(bytes_moved(op)) / time;
  if (const double flop_rate = flops(Operation(op)) / time; flop_rate > 0) {
    state.counters["TFLOP/s"] = flop_rate * 1e-12;
    state.counters["% of GEMM"] = 100 * flop_rate / gemm_peak(type);
  }
  state.counters["GB/s"] = byte_rate * 1e-9;
  state.counters["% of copy"] = 100 * byte_rate / copy_bandwidth();
}

template <class Make>
void bench(const std::string& name, ElementType type, Make make) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    Memory memory;
    time_operation(state, make(memory), type);
  })->UseManualTime();
}

/// 2^20, 2^24 and 2^27 elements in rows of 4096: in the L2 cache, at its edge, far beyond it.
void register_memory_bound() {
  sweep_memory_bound([](const std::string& name, auto make) {
    for (const ElementType type : {ElementType::F32, ElementType::Bf16})
      for (const int exponent : {20, 24, 27})
        bench(name + "/" + text(type) + "/2^" + std::to_string(exponent), type,
              [=](Memory& memory) {
                const std::int64_t cols = 4096, rows = (std::int64_t{1} << exponent) / cols;
                return make(memory, rows, cols, type);
              });
  });
}

/// The products of layers of width 4096 and 8192, whole and cut over four ranks.
void register_gemm() {
  struct Shape {
    std::int64_t m, n, k;
  };
  for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
    for (const Shape s : {Shape{1, 4096, 4096},
                          {64, 4096, 4096},
                          {4096, 12288, 4096},
                          {4096, 3072, 4096},
                          {4096, 4096, 11008},
                          {8192, 8192, 28672}}) {
      const std::string suffix = std::string("/") + text(type) + "/" + std::to_string(s.m) + "x" +
                                 std::to_string(s.n) + "x" + std::to_string(s.k);
      bench("gemm_forward" + suffix, type, [=](Memory& memory) {
        return Gemm{.a = memory.tensor(s.m, s.k, type),
                    .b = memory.tensor(s.k, s.n, type),
                    .c = memory.tensor(s.m, s.n, type),
                    .bias = memory.tensor(1, s.n, type)};
      });
      bench("gemm_input_gradient" + suffix, type, [=](Memory& memory) {
        return Gemm{.a = memory.tensor(s.m, s.n, type),
                    .b = memory.tensor(s.k, s.n, type),
                    .c = memory.tensor(s.m, s.k, type),
                    .transpose_b = true};
      });
      bench("gemm_weight_gradient" + suffix, type, [=](Memory& memory) {
        return Gemm{.a = memory.tensor(s.m, s.k, type),
                    .b = memory.tensor(s.m, s.n, type),
                    .c = memory.tensor(s.k, s.n),
                    .transpose_a = true,
                    .accumulate = true};
      });
    }
  }
}

AttentionForward forward_of(Memory& memory, const AttentionShape& shape, ElementType type) {
  AttentionForward op;
  op.shape = shape;
  op.q = memory.tensor(shape.batch * shape.query_len, shape.heads * shape.head_dim, type);
  op.k = memory.tensor(shape.batch * shape.kv_len, shape.kv_heads * shape.head_dim, type);
  op.v = memory.tensor(shape.batch * shape.kv_len, shape.kv_heads * shape.head_dim, type);
  op.out = memory.tensor(op.q.rows, op.q.cols, type);
  op.log_sum_exp = memory.vector(shape.batch * shape.heads * shape.query_len);
  return op;
}

AttentionBackward backward_of(Memory& memory, const AttentionShape& shape, ElementType type) {
  const AttentionForward forward = forward_of(memory, shape, type);
  cuda::run(forward, queue());
  const auto like = [&](const ConstTensorView& view) {
    return memory.tensor(view.rows, view.cols, type);
  };
  return {shape,           forward.q,           forward.k,       forward.v,       forward.out,
          like(forward.q), forward.log_sum_exp, like(forward.q), like(forward.k), like(forward.v)};
}

void register_attention() {
  struct Case {
    const char* name;
    std::int64_t batch, heads, kv_heads, query_len, kv_len;
  };
  for (const Case& c : {Case{"s2048_h32", 4, 32, 32, 2048, 2048},
                        {"s8192_h32_kv8", 1, 32, 8, 8192, 8192},
                        {"decode_kv4096_h32_kv8", 32, 32, 8, 1, 4096}}) {
    const AttentionShape shape{.batch = c.batch,
                               .heads = c.heads,
                               .kv_heads = c.kv_heads,
                               .head_dim = 128,
                               .query_len = c.query_len,
                               .kv_len = c.kv_len,
                               .query_offset = c.kv_len - c.query_len,
                               .scale = 0.088F};
    for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
      const std::string suffix = std::string("/") + text(type) + "/" + c.name;
      bench("attention_forward" + suffix, type,
            [=](Memory& memory) { return forward_of(memory, shape, type); });
      if (c.query_len > 1)
        bench("attention_backward" + suffix, type,
              [=](Memory& memory) { return backward_of(memory, shape, type); });
    }
  }
}

/// "fused, backward unfused: <reason>"
std::string attention_in_words() {
  const cuda::AttentionChoice choice = cuda::attention_choice(
      queue(),
      {.batch = 1, .heads = 32, .kv_heads = 8, .head_dim = 128, .query_len = 4096, .kv_len = 4096},
      ElementType::Bf16);
  const auto part = [](cuda::AttentionKernel kernel, const std::string& why_not) {
    return std::string(name(kernel)) + (why_not.empty() ? "" : " (" + why_not + ")");
  };
  return part(choice.forward, choice.why_not_fused_forward) + ", backward " +
         part(choice.backward, choice.why_not_fused_backward);
}

}  // namespace

int run_benchmarks(int argc, char** argv) {
  constexpr int kSkipped = 77;  // what ctest takes for "not run"
  int devices = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&devices); status != cudaSuccess) {
    std::fprintf(stderr, "skipped: %s\n", cudaGetErrorString(status));
    return kSkipped;
  }
  register_memory_bound();
  register_gemm();
  register_attention();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("libraries", cuda::library_versions());
  benchmark::AddCustomContext("attention bf16", attention_in_words());
  benchmark::AddCustomContext("copy GB/s", std::to_string(copy_bandwidth() * 1e-9));
  benchmark::AddCustomContext("gemm f32 TFLOP/s",
                              std::to_string(gemm_peak(ElementType::F32) * 1e-12));
  benchmark::AddCustomContext("gemm bf16 TFLOP/s",
                              std::to_string(gemm_peak(ElementType::Bf16) * 1e-12));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace meshplan::kernels

int main(int argc, char** argv) { return meshplan::kernels::run_benchmarks(argc, argv); }
