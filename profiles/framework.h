#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/data_files.h"
#include "profiles/data_type.h"
#include "profiles/units.h"

namespace meshplan::profiles {

/// The tensors, what the caching allocator took for them, or all that the device holds.
enum class MemoryKind { Allocated, Reserved, Device };

/// When gradients that are sharded (ZeRO-2 and 3) are reduced: in every micro-batch, or, so that
/// each rank keeps them whole until then, in the last one; always, or where a pipeline's stages
/// run.
enum class DeferredReduction { Never, Stages, Always };

/// Habits of the software that runs a layout: what it stores per parameter, how much the allocator
/// and the libraries take, what it launches. One file per framework, profiles/data/frameworks, each
/// figure with its source; schema meshplan.framework/1. Nothing here depends on a single run.
struct Framework {
  std::string name;
  bool known = true;  ///< false: the run named a framework we have no file for; generic habits

  double spread = 0.1;  ///< sigma of ln(measured / predicted) of recorded steps, what is named in
                        ///< planner/uncertainty.h left out

  // Model states, bytes per parameter of mixed-precision training with Adam.
  double weight_bytes = 2;
  double gradient_bytes = 4;           ///< accumulation buffer
  double backward_gradient_bytes = 0;  ///< a second gradient that lives through backward (nanotron)
  double master_bytes = 4;             ///< fp32 copy of the weights
  double moment_bytes = 8;             ///< both Adam moments; Lion and momentum SGD keep half
  double gathered_bytes = 2;  ///< a parameter gathered for use under ZeRO-3, or ZeRO-2 of FSDP
  double reduced_gradient_bytes = 2;  ///< an unsharded gradient on its way to its shard (ZeRO-2, 3)
  double reduction_bytes = 4;         ///< what one gradient moves in the reduction
  /// ZeRO-1 adds up whole gradients (an all-reduce), though each rank updates a shard of them.
  bool reduces_whole = false;
  double prefetched_units = 1;  ///< layers gathered ahead under ZeRO-3
  DeferredReduction deferred_reduction = DeferredReduction::Never;
  double deferred_gradient_bytes = 4;  ///< a whole gradient that waits for the last micro-batch

  bool pads_vocabulary = true;  ///< to a multiple of 128 tp where tp cuts it

  // What a micro-batch and a step move besides, bytes per parameter (docs/cost-model.md).
  double accumulation_bytes = 6;  ///< adding a weight gradient to its buffer, beyond writing it
  double step_bytes = 20;         ///< once a step: zeroing, norm, clipping, scaling of gradients
  double whole_step_bytes = 0;    ///< the same, of gradients that ZeRO-1 leaves whole on each rank
  double gather_copy_bytes = 0;   ///< each gather of ZeRO-3: from the flat buffer to the parameters
  double reduce_copy_bytes = 0;  ///< each reduction of ZeRO-2 and 3: into the flat buffer, and cast
  /// Below 16 bits: casts of each element of a product's inputs and output gradients, read at 16
  /// bits, written with the transpose that the weight gradient reads; and of each weight, in every
  /// micro-batch.
  double cast_bytes = 4, weight_cast_bytes = 0;
  /// Below 16 bits, with sharded sequences: tensors are cast before they are gathered over the
  /// tensor-parallel ranks, so each rank casts its shard and gathers move one byte an element.
  bool gathers_after_cast = false;

  /// Activations and transients as meshplan's own runtime holds them (executor_memory.h).
  bool own_executor = false;

  // The last stage.
  double loss_bytes_per_logit = 6;     ///< peak of logits and loss together
  double loss_traffic_per_logit = 30;  ///< bytes moved from logits to their gradient
  bool recompute_by_recipe = false;    ///< recipes choose recomputation model by model
  /// Share of the products whose results selective recomputation makes again, with all element-wise
  /// work; it keeps attention. 0: Megatron's, which makes core attention again and nothing else.
  double selective_products = 0;
  double norm_saved_bytes = 0;  ///< per element of each norm, beyond its input: unfused copies
  /// Products keep their gathered inputs where sequences are sharded; else they gather them again.
  bool keeps_gathered_inputs = false;
  bool unfused_gate = false;  ///< saves the activated gate besides its inputs and the product
  /// Per token and hidden feature, tensor parallelism with sharded sequences: gathered tensors of a
  /// side stream that wait for the device while the host runs ahead of it.
  double side_stream_bytes = 0;
  bool embedding_gradient_transient =
      false;  ///< a dense bf16 gradient of embedding and head besides

  // Allocator and libraries.
  double fragmentation = 0.05;              ///< reserved / allocated - 1
  MemoryKind reports = MemoryKind::Device;  ///< what its log calls memory
  bool reports_first_stage = false;         ///< of rank 0 only; else of the fullest stage
  bool reports_gibibytes = false;           ///< it divides by 2^30 and calls that GB
  Bytes context{};                          ///< CUDA context, kernels, cuBLAS handles
  Bytes communicator{};                     ///< one NCCL communicator
  Bytes workspace{};                        ///< cuBLAS and framework workspaces, inside "allocated"
  /// A stage that fills more than this share of its device, buffers that are freed late included,
  /// makes the caching allocator return its blocks and ask again in every micro-batch, for so long.
  /// 0 seconds: not modelled.
  double retry_fill = 1;
  Seconds retry{};

  // Time.
  bool flash_attention = true;    ///< when the workload does not say
  bool flash2 = false;            ///< FlashAttention-2 even where a faster kernel exists
  double attention_slowdown = 1;  ///< of its fused attention, over FlashAttention-2 or the best
  /// Context parallelism that goes through keys and values block by block: what each of its steps
  /// moves in either pass to merge its block, bytes per feature of the output. 0: fused.
  double context_step_bytes = 0;
  /// Keys and values are repeated to the heads of the queries before ranks of a context exchange
  /// them.
  bool context_repeats_kv = false;
  /// Under cp_kind=allgather: keys and values are gathered beside the first block of attention, and
  /// gradients of so many bytes an element go round with the blocks. 0: all is gathered before, and
  /// reduced after.
  double context_gradient_bytes = 0;
  bool dropout = true;  ///< false: trains without, whatever the model's config says
  /// A dense embedding gradient in each micro-batch, bytes per parameter: zeroed (2), then read (2)
  /// and added to the accumulation buffer (4 read, 4 written). 0: rows are added where they belong.
  double embedding_gradient_bytes = 12;
  bool collectives_beside_compute = true;  ///< false: overlap=... changes nothing
  bool shards_tied_gradients = false;      ///< ends exchange shards of tied embeddings under ZeRO-1
  double elementwise_passes = 1;  ///< memory traffic of element-wise work over the fused minimum
  /// The same in models with RMSNorm, which plain PyTorch writes out in fp32, as it does their
  /// rotary embedding. 0: no different.
  double rms_norm_passes = 0;
  Seconds kernel_launch{};       ///< host time to issue one kernel; exposed when longer than it
  Seconds step_overhead{};       ///< once a step: data loading, logging, gradient clipping
  int kernels_per_operator = 2;  ///< launches per operator, forward
  /// Host time of one layer with experts and one micro-batch below 16 bits, all passes, launched
  /// one kernel at a time: routing, permutation, casts and products expert by expert.
  Seconds sparse_layer_host{};
  /// Grouped products below 16 bits take so many times what dense ones of their work do: operands
  /// are cast expert by expert, where no fused kernel does it.
  double grouped_low_precision = 1;
  bool graphs_on_grace = false;  ///< captured as CUDA graphs, where the host is a Grace CPU
  /// Host time of one layer and micro-batch, both passes, for each tensor-parallel rank, when the
  /// pipeline crosses nodes.
  Seconds pipelined_tp_step{};
  Seconds network_call{};  ///< of one tensor-parallel collective, for each further node
  Seconds ring_step{};  ///< the same, for each step of its ring: called from Python, not replayed
  bool cuts_stages_by_cost = false;  ///< a stage ends with the layer that reaches its share of cost
  bool gathers_by_tensor = false;    ///< ZeRO-1 and 2 gather and reduce one weight at a time
  bool overlap_grad = false;         ///< default when a run does not state it
  bool overlap_whole_grad = false;   ///< the same, where the optimizer is not sharded (PyTorch DDP)
  bool overlap_param = false;
  bool overlap_tp = false;  ///< the same, of tensor-parallel collectives under sequence parallelism
  bool overlap_p2p = true;  ///< false: the device waits for pipeline transfers
  /// Where it waits: sends and receives follow each other, none is posted with another.
  bool single_p2p = false;
  bool sequence_parallel_async = false;  ///< backward all-gather hidden behind the weight gradient
  double tp_overlap_fraction = 0;        ///< share of tp communication hidden under overlap=...+tp
  double gather_efficiency =
      1;  ///< share of the bandwidth that ZeRO-3's gathers and reductions get

  /// On EFA. Where a pipeline leaves its node, both ends of each of its transfers wait so long, at
  /// the same time (0: never), and on jobs of so many ranks or more (0: never) all-reduces of
  /// gradients get no more than so much each way.
  Seconds stalled_transfer{};
  int stalled_ranks = 0;
  BytesPerSecond stalled_all_reduce{};
};

/// Other names that runs and people use.
struct FrameworkAlias {
  std::string_view alias, id;
};
std::span<const FrameworkAlias> framework_aliases();
/// The file's name that an alias stands for: "PyTorch FSDP" is "fsdp". Case, blanks and underscores
/// do not matter; what is no alias is returned in lower case.
std::string framework_id_of(const std::string& name_or_alias);

/// What tells the versions of one software apart.
struct SoftwareSetting {
  int compute_capability = 0;                        ///< of the device; 0: unknown
  std::optional<DataType> data_type = std::nullopt;  ///< of matrix products
};

/// Reads profiles/data/frameworks/<id>.json, by id or alias, on top of the file that it is
/// "based_on" ("generic" when it does not say). An unknown name gives "generic" with known = false.
/// Software that was rewritten for newer devices names its successor, software that works otherwise
/// in one data type the file for it ("of_data_type"): of these, the one for `setting`.
Framework load_framework(const std::string& name, const DataFiles& files,
                         const SoftwareSetting& setting = {});

/// `framework` with the operators of its models fused by torch.compile, or run one by one: the
/// habits of profiles/data/frameworks/pytorch-compiled.json or pytorch-eager.json on top.
Framework with_operators(Framework framework, bool compiled, const DataFiles& files);

}  // namespace meshplan::profiles
