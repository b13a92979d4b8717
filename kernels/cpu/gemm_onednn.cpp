#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "kernels/cpu/gemm_library.h"
#include "kernels/cpu/queue.h"

namespace meshplan::kernels::cpu {
namespace {

/// Keeps oneDNN on the calling thread. Its thread count is that of the OpenMP runtime it was linked
/// with, which is looked up rather than linked: a second runtime would have settings of its own.
class OneThread {
 public:
  OneThread() : before_(runtime().max_threads ? runtime().max_threads() : 1) {
    if (before_ != 1) runtime().set_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) runtime().set_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  struct Runtime {
    int (*max_threads)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
    void (*set_threads)(int) = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT,
                                                                     "omp_set_num_threads"));
  };
  static const Runtime& runtime() {
    static const Runtime functions;
    return functions;
  }

  int before_;
};

dnnl::engine& engine() {
  static dnnl::engine host(dnnl::engine::kind::cpu, 0);
  return host;
}

dnnl::memory::data_type data_type(ElementType type) {
  return type == ElementType::F32 ? dnnl::memory::data_type::f32 : dnnl::memory::data_type::bf16;
}

/// All that a prepared matmul depends on.
using Key = std::array<std::int64_t, 11>;

/// A matmul and the descriptions of its operands.
struct Prepared {
  dnnl::matmul matmul;
  dnnl::memory::desc a, b, c, bias;
};

/// [rows, cols] of op(view), as strides.
dnnl::memory::desc description(const ConstTensorView& view, bool transpose) {
  const std::int64_t stride = std::max(view.row_stride, view.cols);
  const dnnl::memory::dims rows_cols = {view.rows, view.cols}, cols_rows = {view.cols, view.rows};
  const dnnl::memory::dims plain = {stride, 1}, crossed = {1, stride};
  return {transpose ? cols_rows : rows_cols, data_type(view.type), transpose ? crossed : plain};
}

Prepared prepare(const Gemm& op) {
  Prepared p;
  p.a = description(op.a, op.transpose_a);
  p.b = description(op.b, op.transpose_b);
  p.c = description(op.c, false);
  dnnl::primitive_attr attributes;
  if (op.accumulate) {
    dnnl::post_ops operations;
    operations.append_sum(1.0F);
    attributes.set_post_ops(operations);
  }
  if (op.bias.empty()) {
    p.matmul = dnnl::matmul({{p.a, p.b, p.c}, attributes, engine()});
  } else {
    p.bias = description(op.bias, false);
    p.matmul = dnnl::matmul({{p.a, p.b, p.bias, p.c}, attributes, engine()});
  }
  return p;
}

dnnl::memory memory(const dnnl::memory::desc& description, const void* data) {
  return {description, engine(), const_cast<void*>(data)};
}

}  // namespace

struct GemmCache {
  dnnl::stream stream{engine()};
  std::map<Key, Prepared> prepared;
  bool supported = true;
};

std::string_view gemm_library() {
  static const std::string text = [] {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
  }();
  return text;
}

void sgemm(Queue&, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, FloatMatrix a,
           FloatMatrix b, float beta, float* c, std::int64_t c_stride) {
  const OneThread one_thread;
  const dnnl_status_t status =
      dnnl_sgemm(a.transpose ? 'T' : 'N', b.transpose ? 'T' : 'N', m, n, k, alpha, a.data, a.stride,
                 b.data, b.stride, beta, c, c_stride);
  if (status != dnnl_success)
    throw std::runtime_error("oneDNN refused a GEMM: status " +
                             std::to_string(static_cast<int>(status)));
}

bool bf16_gemm(const Gemm& op, Queue& queue) {
  auto& cache = queue.state().gemm_cache;
  if (!cache) cache = std::make_shared<GemmCache>();
  if (!cache->supported) return false;
  const Key key = {op.a.rows,
                   op.a.cols,
                   op.c.cols,
                   op.a.row_stride,
                   op.b.row_stride,
                   op.c.row_stride,
                   op.transpose_a,
                   op.transpose_b,
                   op.accumulate,
                   static_cast<std::int64_t>(op.c.type),
                   op.bias.empty() ? -1 : static_cast<std::int64_t>(op.bias.type)};
  auto found = cache->prepared.find(key);
  if (found == cache->prepared.end()) {
    try {
      found = cache->prepared.emplace(key, prepare(op)).first;
    } catch (const dnnl::error& error) {
      if (error.status != dnnl_unimplemented) throw;
      cache->supported = false;
      return false;
    }
  }
  const OneThread one_thread;
  const Prepared& p = found->second;
  std::unordered_map<int, dnnl::memory> arguments = {{DNNL_ARG_SRC, memory(p.a, op.a.data)},
                                                     {DNNL_ARG_WEIGHTS, memory(p.b, op.b.data)},
                                                     {DNNL_ARG_DST, memory(p.c, op.c.data)}};
  if (!op.bias.empty()) arguments.emplace(DNNL_ARG_BIAS, memory(p.bias, op.bias.data));
  p.matmul.execute(cache->stream, arguments);
  cache->stream.wait();
  return true;
}

}  // namespace meshplan::kernels::cpu
