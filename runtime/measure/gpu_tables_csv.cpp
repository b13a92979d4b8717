#include <fmt/format.h>

#include "runtime/measure/gpu_tables.h"

namespace meshplan::runtime {

std::string gemm_csv(const GpuTables& tables) {
  std::string out = "dtype,m,n,k,seconds\n";
  for (const GpuGemmTime& t : tables.gemm) {
    out += fmt::format("bf16,{},{},{},{:.6g}\n", t.m, t.n, t.k, t.time.count());
  }
  return out;
}

namespace {

std::string attention_row(const kernels::AttentionShape& s, const char* phase,
                          profiles::Seconds time) {
  return fmt::format("{},{},{},{},{},{},{},bf16,{:.6g}\n", phase, s.batch, s.query_len, s.kv_len,
                     s.heads, s.kv_heads, s.head_dim, time.count());
}

constexpr const char* kAttentionHeader =
    "phase,batch,query_len,kv_len,heads,kv_heads,head_dim,dtype,seconds\n";

}  // namespace

std::string attention_csv(const GpuTables& tables) {
  std::string out = kAttentionHeader;
  for (const GpuAttentionTime& t : tables.attention) {
    out += attention_row(t.shape, t.shape.query_len == 1 ? "decode" : "prefill", t.forward);
  }
  return out;
}

std::string attention_backward_csv(const GpuTables& tables) {
  std::string out = kAttentionHeader;
  for (const GpuAttentionTime& t : tables.attention) {
    if (t.backward.count() > 0) out += attention_row(t.shape, "backward", t.backward);
  }
  return out;
}

std::string elementwise_csv(const GpuTables& tables) {
  std::string out = "op,bytes,seconds,bytes_per_second,share_of_copy\n";
  for (const GpuElementwiseTime& t : tables.elementwise) {
    const double rate = (t.moved / t.time).rate;
    out += fmt::format("{},{},{:.6g},{:.6g},{:.3f}\n", t.operation, t.moved.count, t.time.count(),
                       rate, rate / tables.copy.rate);
  }
  return out;
}

std::string collectives_csv(const GpuTables& tables) {
  std::string out = "op,bytes,ranks,nodes,cluster,seconds,estimated_seconds\n";
  for (const GpuCollectiveTime& t : tables.collectives) {
    out += fmt::format("{},{},{},1,{},{:.6g},{}\n", t.operation, t.size.count, t.ranks,
                       tables.within_device ? "within-device" : "localhost", t.time.count(),
                       t.estimated ? fmt::format("{:.6g}", t.estimated->count()) : "");
  }
  return out;
}

}  // namespace meshplan::runtime
