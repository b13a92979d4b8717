#include "planner/export/data_parallel.h"

#include <fmt/format.h>

#include "planner/cost/collective/collective_model.h"
#include "planner/layout/legality.h"
#include "planner/model/parameters.h"
#include "planner/predict.h"
#include "profiles/number_format.h"

namespace meshplan::planner {

using profiles::Bytes;
using profiles::Seconds;

SingleProcessLoss single_process_loss(const Problem& problem, const Layout& layout) {
  PriceBook book(problem);
  Layout distributed = layout;
  distributed.overlap = layout.dp > 1 ? Overlap::Grad : Overlap::None;
  Layout bare = layout;
  bare.overlap = Overlap::None;
  SingleProcessLoss out;
  out.distributed = predict(book, distributed).prediction.step;
  const Prediction alone = predict(book, bare).prediction;
  const Bytes weights{parameter_count(problem.model) * profiles::bits(problem.workload.data_type) /
                      8};
  const Placement where = placement(layout, problem.cluster);
  out.broadcast =
      collective_time(Collective::Broadcast, weights, where.shards, problem.cluster).time;
  const double rounds = microbatches(layout, problem.workload);
  out.step = alone.step - alone.terms.dp + 2 * rounds * out.broadcast;
  return out;
}

std::string single_process_advice(const Problem& problem, const Layout& layout) {
  const SingleProcessLoss loss = single_process_loss(problem, layout);
  return fmt::format(
      "nn.DataParallel is one process: at least {} a step where DistributedDataParallel takes {} "
      "({:+.0f}%), as parameters are broadcast from device 0 and gradients reduced to it {} times "
      "a "
      "step, and one interpreter launches for {} devices; use fsdp or megatron instead",
      profiles::human(loss.step), profiles::human(loss.distributed), 100 * loss.slowdown(),
      microbatches(layout, problem.workload), layout.dp);
}

}  // namespace meshplan::planner
