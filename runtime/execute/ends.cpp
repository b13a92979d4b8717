#include "runtime/execute/ends.h"

#include <utility>

#include "runtime/execute/tokens.h"

namespace meshplan::runtime {
namespace {

constexpr auto kTp = planner::Term::TensorParallel;
constexpr int kEmbeddingPlace = 0;  ///< of its dropout

/// Ids in [n]: the token that each row sees (shift 0) or predicts (shift 1).
std::vector<std::int32_t> shifted(const RankContext& context, int microbatch, int shift) {
  const std::vector<std::int32_t> text = microbatch_tokens(context, microbatch);
  const std::int64_t length = context.seq_len();
  std::vector<std::int32_t> ids;
  ids.reserve(static_cast<std::size_t>(context.tokens()));
  for (int s = 0; s < context.layout().mbs; ++s) {
    const auto begin = text.begin() + s * (length + 1) + shift;
    ids.insert(ids.end(), begin, begin + length);
  }
  return ids;
}

std::vector<std::int32_t> local_positions(const RankContext& context) {
  std::vector<std::int32_t> positions(static_cast<std::size_t>(context.local_tokens()));
  for (std::size_t r = 0; r < positions.size(); ++r) {
    positions[r] = static_cast<std::int32_t>(
        (context.first_local_token() + static_cast<std::int64_t>(r)) % context.seq_len());
  }
  return positions;
}

/// First word of this rank's part of the vocabulary.
std::int64_t first_class(const ModelContext& context) {
  return part_begin(context.model().vocab, context.layout().tp, context.groups.here.tp);
}

}  // namespace

std::vector<std::int32_t> microbatch_tokens(const RankContext& context, int microbatch) {
  return synthetic_tokens(context.training.options.seed,
                          context.first_row(microbatch) / context.seq_len(), context.layout().mbs,
                          static_cast<int>(context.seq_len()) + 1, context.model().vocab);
}

DeviceIds::DeviceIds(const ModelContext& context, const std::vector<std::int32_t>& ids)
    : memory_(context.tensor(1, static_cast<std::int64_t>(ids.size()), MemoryTerm::Workspace)) {
  context.device.upload(std::as_bytes(std::span(ids)), memory_.data());
}

Tensor embedded(ModelContext& context, const EmbeddingParameters& parameters,
                const std::vector<std::int32_t>& tokens,
                const std::vector<std::int32_t>& positions) {
  Tensor x = context.activation(static_cast<std::int64_t>(tokens.size()), context.model().hidden,
                                MemoryTerm::Activations);
  {
    const DeviceIds ids(context, tokens);
    context.run(kernels::EmbeddingForward{ids.ids(), first_class(context), parameters.tokens.value,
                                          x.view()});
  }
  x = reduced(context, std::move(x), MemoryTerm::Activations);
  if (parameters.positions.empty()) return x;
  const DeviceIds ids(context, positions);
  context.run(kernels::EmbeddingForward{ids.ids(), 0, parameters.positions.value, x.view(),
                                        /*accumulate=*/true});
  return x;
}

Tensor embedding_forward(RankContext& context, const EmbeddingParameters& parameters,
                         int microbatch) {
  Tensor x =
      embedded(context, parameters, shifted(context, microbatch, 0), local_positions(context));
  drop(context, x, kEmbeddingPlace, microbatch);
  return x;
}

void embedding_backward(RankContext& context, const EmbeddingParameters& parameters,
                        const Tensor& gradient, int microbatch) {
  const Tensor dx = dropout_gradient(context, gradient, kEmbeddingPlace, microbatch);
  if (!parameters.positions.empty()) {
    const DeviceIds positions(context, local_positions(context));
    context.run(
        kernels::EmbeddingBackward{positions.ids(), 0, dx.view(), parameters.positions.gradient});
  }
  const Tensor whole = gathered(context, dx);
  const DeviceIds tokens(context, shifted(context, microbatch, 0));
  context.run(kernels::EmbeddingBackward{tokens.ids(), first_class(context), whole.view(),
                                         parameters.tokens.gradient});
}

Tensor head_forward(RankContext& context, const HeadParameters& parameters, const Tensor& input,
                    int microbatch, HeadSaved& saved) {
  const std::int64_t n = context.tokens();
  saved.normed = norm_forward(context, parameters.norm, parameters.norm_shift, input, saved.norm);
  saved.dlogits = context.activation(n, parameters.classes.value.rows, MemoryTerm::Activations);
  context.run(kernels::Gemm{.a = gathered(context, saved.normed).view(),
                            .b = parameters.classes.value,
                            .c = saved.dlogits.view(),
                            .transpose_b = true,
                            .bias = parameters.bias.value});
  const DeviceIds targets(context, shifted(context, microbatch, 1));
  const Tensor row_max = context.tensor(1, n, MemoryTerm::Workspace);
  const Tensor sums = context.tensor(2, n, MemoryTerm::Workspace);
  const std::span<float> sum_exp = sums.elements().first(n);
  const std::span<float> target_logit = sums.elements().last(n);
  const kernels::TensorView logits = saved.dlogits.view();
  const bool split = context.layout().tp > 1;
  Communicator& tp = *context.groups.tp;

  context.run(kernels::CrossEntropyMax{logits, row_max.elements()});
  if (split) {
    context.recorder.exposed(kTp, tp, [&] { tp.all_reduce(row_max.buffer(), Reduction::Max); });
  }
  context.run(kernels::CrossEntropySum{logits, targets.ids(), first_class(context),
                                       row_max.elements(), sum_exp, target_logit});
  if (split) {
    context.recorder.exposed(kTp, tp, [&] { tp.all_reduce(sums.buffer(), Reduction::Sum); });
  }
  const Tensor loss = context.tensor(1, n, MemoryTerm::Activations);
  const double tokens = static_cast<double>(context.training.workload.global_batch) *
                        static_cast<double>(context.seq_len());
  context.run(kernels::CrossEntropyLoss{logits, targets.ids(), first_class(context),
                                        row_max.elements(), sum_exp, target_logit,
                                        static_cast<float>(1.0 / tokens), loss.elements(), logits});
  return loss;
}

Tensor head_backward(RankContext& context, const HeadParameters& parameters, HeadSaved saved,
                     WeightGradients& weight_gradients) {
  Tensor partial =
      context.activation(context.tokens(), context.model().hidden, MemoryTerm::Workspace);
  context.run(
      kernels::Gemm{.a = saved.dlogits.view(), .b = parameters.classes.value, .c = partial.view()});
  weight_gradients.add(context, {.left = saved.dlogits,
                                 .right = std::move(saved.normed),
                                 .gather_right = true,
                                 .weight = parameters.classes,
                                 .bias = parameters.bias,
                                 .summed = saved.dlogits});
  saved.dlogits = {};
  const Tensor dinput = reduced(context, std::move(partial), MemoryTerm::Workspace);
  norm_backward(context, parameters.norm, parameters.norm_shift, saved.norm, dinput);
  return dinput;
}

}  // namespace meshplan::runtime
