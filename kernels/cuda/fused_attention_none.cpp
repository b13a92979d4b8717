// Where cuDNN's headers were not found at configuration: everything else works.
#include "kernels/cuda/fused_attention.h"

namespace meshplan::kernels::cuda {
namespace {

constexpr const char* kReason = "no cuDNN: built without its headers";

}  // namespace

struct FusedAttention::State {};
FusedAttention::FusedAttention(CUstream_st*) {}
FusedAttention::~FusedAttention() = default;
std::string FusedAttention::why_not(const AttentionForward&) { return kReason; }
std::string FusedAttention::why_not(const AttentionBackward&) { return kReason; }
void FusedAttention::run(const AttentionForward&) {}
void FusedAttention::run(const AttentionBackward&) {}
std::int64_t FusedAttention::held_bytes() const { return 0; }

std::string fused_attention_version() { return kReason; }

}  // namespace meshplan::kernels::cuda
