#pragma once
#include <string>

#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// What one process that drives all devices (torch.nn.DataParallel) costs over one process a device
/// (DistributedDataParallel) for the same replicas and micro-batch.
///
///   per backward: the parameters broadcast from device 0, their gradients reduced to it, neither
///   hidden; a reduction is priced as a broadcast of as many bytes
///
/// Assumes that the loss is taken inside the module, so that no logits are gathered on device 0,
/// and leaves out that one interpreter launches the kernels of all devices: a lower bound of the
/// loss. Source: torch/nn/parallel/data_parallel.py (replicate, parallel_apply, gather).
struct SingleProcessLoss {
  profiles::Seconds step{0};         ///< of the single process
  profiles::Seconds distributed{0};  ///< of one process a device, its reduction beside backward
  profiles::Seconds broadcast{0};    ///< of one micro-batch
  [[nodiscard]] double slowdown() const { return step / distributed - 1; }
};
/// `layout`: dp alone.
SingleProcessLoss single_process_loss(const Problem& problem, const Layout& layout);

/// The same in one line, with the advice that follows.
std::string single_process_advice(const Problem& problem, const Layout& layout);

}  // namespace meshplan::planner
