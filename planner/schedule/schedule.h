#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "planner/layout/layout.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// What one instruction does. A pipeline rank runs its list in order on its compute stream; sends,
/// receives and data-parallel collectives are issued in list order and run on streams of their own.
enum class Action : std::uint8_t {
  Forward,      ///< one micro-batch through one chunk (tp, cp, ep collectives inside)
  Backward,     ///< input and weight gradients together
  InputGrad,    ///< B of zero-bubble schedules
  WeightGrad,   ///< W
  Recompute,    ///< the chunk's forward again, from its saved input, as its backward begins
  SendForward,  ///< activations to the next chunk's stage
  ReceiveForward,
  SendBackward,  ///< gradients to the previous chunk's stage
  ReceiveBackward,
  ParameterGather,  ///< ZeRO: a bucket of updated parameters from its shards (dp stream)
  GradientReduce,   ///< a bucket of gradients over the replicas (dp stream)
  OptimizerSync,    ///< global gradient norm: waits for every rank (optimizer_sync=global)
  OptimizerStep,
};

/// One entry of a rank's list. Dependencies follow from (action, chunk, microbatch), see
/// dependencies.h; bytes and memory from Schedule::chunks. 16 bytes: a schedule may hold 10^8.
struct Instruction {
  Action action = Action::Forward;
  std::uint8_t reserved = 0;
  /// Sends and receives: the other stage. ParameterGather, GradientReduce: the bucket.
  std::int16_t peer = -1;
  std::int32_t chunk = 0;  ///< virtual stage 0 .. chunks-1 in model order
  std::int32_t microbatch = -1;
  /// Sends and receives that are posted together (one NCCL group) have the same id >= 0 on a rank.
  std::int32_t group = -1;
  friend bool operator==(const Instruction&, const Instruction&) = default;
};

/// What a chunk of layers holds and moves, per micro-batch. Filled from the memory model; zero in
/// schedules made only to be looked at.
struct ChunkFacts {
  int stage = 0;  ///< the rank that owns it
  int first_layer = 0,
      layers = 0;                 ///< embedding on the first chunk and head on the last come extra
  profiles::Bytes boundary{};     ///< one transfer to the next chunk (and of its gradient back)
  profiles::Bytes activations{};  ///< taken by Forward, released by Backward or InputGrad
  profiles::Bytes until_weight_grad{};  ///< of those, what stays until WeightGrad (zero-bubble)
  profiles::Bytes working{};            ///< transient of one backward, recomputation included
  int gradient_buckets = 1;             ///< data-parallel reduction of its parameters
  int gather_buckets = 0;               ///< parameter gathers of the next step
};

/// Per pipeline rank an ordered list of instructions: plain data with two interpreters,
/// planner/simulate and runtime/execute. Ranks that differ only in tp, dp, cp, ep coordinates run
/// the same list, so one list a stage is kept.
struct Schedule {
  ScheduleKind kind = ScheduleKind::OneFOneB;
  int stages = 1;  ///< pipeline ranks
  int chunks_per_stage = 1;
  int microbatches = 1;
  bool global_sync = true;                         ///< optimizer_sync=global; false: post_validated
  bool forward_only = false;                       ///< inference
  std::vector<ChunkFacts> chunks;                  ///< size stages * chunks_per_stage
  std::vector<std::vector<Instruction>> programs;  ///< one list a stage

  [[nodiscard]] int chunk_count() const { return stages * chunks_per_stage; }
};

std::string_view name(Action action);

}  // namespace meshplan::planner
