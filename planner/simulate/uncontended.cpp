#include "planner/simulate/uncontended.h"

#include <algorithm>

#include "planner/schedule/dependencies.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

class Pass {
 public:
  Pass(const Schedule& schedule, const PricedSchedule& priced, int steps,
       UncontendedWorkspace& workspace, SpanRecorder& recorder, PassResult& result)
      : schedule_(schedule),
        priced_(priced),
        steps_(steps),
        walks_(schedule, priced, steps, result),
        w_(workspace),
        recorder_(recorder),
        result_(result) {}

  void run() {
    reset();
    while (!w_.runnable.empty()) {
      const int rank = w_.runnable.back();
      w_.runnable.pop_back();
      advance(rank);
    }
    for (int rank = 0; rank < priced_.ranks; ++rank) {
      const auto& r = w_.ranks[rank];
      if (r.waiting_for >= 0) throw_stuck(schedule_, rank, r.cursor - r.begin);
      result_.busy[rank] = r.busy;
    }
  }

 private:
  using Rank = UncontendedWorkspace::Rank;

  void reset() {
    w_.ranks.assign(priced_.ranks, {});
    w_.gathers.assign(priced_.chunks.size(), {});
    w_.arrivals.assign(priced_.slots() * steps_, Seconds{-1});
    w_.at_barrier = 0;
    w_.barrier = Seconds{0};
    w_.runnable.clear();
    walks_.reset();
    for (int rank = priced_.ranks - 1; rank >= 0; --rank) {
      walks_.start(rank, w_.ranks[rank]);
      w_.runnable.push_back(rank);
    }
  }

  /// Runs `rank` until it lacks a transfer, waits at the barrier or is finished.
  void advance(int rank) {
    Rank& r = w_.ranks[rank];
    for (;;) {
      if (r.cursor == r.stop) {
        if (!turn(rank, r)) return;
        continue;
      }
      const Instruction& in = *r.cursor;
      switch (in.action) {
        case Action::Forward:
        case Action::Backward:
        case Action::InputGrad:
        case Action::WeightGrad:
        case Action::Recompute:
          if (!compute(rank, r, in)) return;
          break;
        case Action::SendForward:
          send(rank, r, in, r.forward_free, priced_.chunks[in.chunk].forward, in.chunk + 1,
               priced_.input_slot(in.chunk + 1, in.microbatch), true);
          break;
        case Action::SendBackward:
          send(rank, r, in, r.backward_free, priced_.chunks[in.chunk].backward, in.chunk - 1,
               priced_.gradient_slot(in.chunk - 1, in.microbatch), false);
          break;
        case Action::ParameterGather:
          gather(rank, r, in);
          break;
        case Action::OptimizerStep:
          optimizer(rank, r);
          break;
        case Action::OptimizerSync:   // where `stop` is; passed over where nobody waits
        case Action::GradientReduce:  // issued by the backward that fills the bucket
        case Action::ReceiveForward:  // the instruction that needs the data waits for it
        case Action::ReceiveBackward:
          break;
      }
      ++r.cursor;
    }
  }

  bool compute(int rank, Rank& r, const Instruction& in) {
    const auto& chunk = priced_.chunks[in.chunk];
    Seconds start = std::max(r.now, r.gathered);
    std::int64_t slot = -1;
    if (in.action == Action::Forward) {
      if (chunk.input_arrives) slot = priced_.input_slot(in.chunk, in.microbatch);
    } else if (takes_output_grad(in.action)) {
      if (chunk.gradient_arrives) slot = priced_.gradient_slot(in.chunk, in.microbatch);
    }
    if (slot >= 0) {
      slot += priced_.lane(r.step);
      const Seconds arrival = w_.arrivals[slot];
      if (arrival < Seconds{0}) {
        r.waiting_for = slot;
        return false;
      }
      start = std::max(start, arrival);
    }
    const Seconds duration = chunk.duration[static_cast<int>(in.action)];
    Seconds end = start + duration;
    if (in.action == Action::Forward && w_.gathers[in.chunk].buckets > 0) {
      auto& gather = w_.gathers[in.chunk];
      start = std::max(start, gather.first);
      end = std::max(start + duration, gather.last + duration / gather.buckets);
      if (end > start + duration) start = end - duration;
      gather.buckets = 0;
    }
    r.now = end;
    r.busy += duration;
    if (recorder_.wants(rank))
      recorder_.compute(rank, r.index(), r.step, start, end,
                        chunk.work[static_cast<int>(in.action)]);
    if (&in == chunk.last_producer && priced_.overlap_reduce) {
      reduce(rank, r, in.chunk, start, end);
    }
    return true;
  }

  void send(int rank, Rank& r, const Instruction& in, Seconds& stream_free, const HopCost& hop,
            int to_chunk, std::int64_t slot, bool forward) {
    const Seconds start = std::max(r.now, stream_free);
    stream_free = start + hop.transfer;
    const Seconds arrival = stream_free + hop.latency - hop.early;
    const int receiver = priced_.chunks[to_chunk].stage;
    const std::int64_t lane_slot = slot + priced_.lane(r.step);
    w_.arrivals[lane_slot] = arrival;
    if (w_.ranks[receiver].waiting_for == lane_slot) {
      w_.ranks[receiver].waiting_for = -1;
      w_.runnable.push_back(receiver);
    }
    if (recorder_.wants(rank) || recorder_.wants(receiver))
      recorder_.transfer(rank, static_cast<int>(&in - r.begin), r.step, receiver, slot, forward,
                         start - hop.early, arrival);
  }

  void gather(int rank, Rank& r, const Instruction& in) {
    const auto& prices = priced_.costs->chunks[in.chunk].parameter_gather;
    const Seconds start = std::max(r.now, r.collective_free);
    const Seconds end = start + (prices.empty() ? Seconds{0} : prices[in.peer]);
    r.collective_free = end;
    if (priced_.overlap_gather) {
      auto& gather = w_.gathers[in.chunk];
      if (gather.buckets++ == 0) gather.first = end;
      gather.last = end;
    } else {
      r.gathered = end;
    }
    if (recorder_.wants(rank))
      recorder_.add(rank, r.index(), r.step, Stream::DataParallel, Term::DataParallel, start, end);
  }

  /// Gradient buckets of one chunk, or with chunk < 0 of all, filled evenly over [start, end].
  void reduce(int rank, Rank& r, int chunk, Seconds start, Seconds end) {
    for (int i = priced_.reduces_begin[rank]; i < priced_.reduces_begin[rank + 1]; ++i) {
      const auto& bucket = priced_.reduces[i];
      if (chunk >= 0 && bucket.chunk != chunk) continue;
      const bool last = bucket.bucket + 1 == bucket.buckets;
      const Seconds ready =
          last ? end : start + (end - start) * (double(bucket.bucket + 1) / bucket.buckets);
      const Seconds begin = std::max(ready, r.collective_free);
      r.collective_free = begin + bucket.price;
      if (recorder_.wants(rank))
        recorder_.add(rank, bucket.instruction, r.step, Stream::DataParallel, Term::DataParallel,
                      begin, r.collective_free);
    }
  }

  /// Every gradient of the step is reduced.
  void finish_reduction(int rank, Rank& r) {
    if (!r.reduced && !priced_.overlap_reduce) reduce(rank, r, -1, r.now, r.now);
    r.reduced = true;
    r.now = std::max(r.now, r.collective_free);
  }

  void optimizer(int rank, Rank& r) {
    if (!r.reduced) finish_reduction(rank, r);
    const Seconds duration = priced_.costs->stages[rank].optimizer;
    if (recorder_.wants(rank))
      recorder_.add(rank, r.index(), r.step, Stream::Compute, Term::Optimizer, r.now,
                    r.now + duration);
    r.now += duration;
    r.busy += duration;
  }

  /// At the end of the program or at the barrier. False: nothing more to do for now.
  bool turn(int rank, Rank& r) {
    if (priced_.barrier && r.before_barrier) {
      if (!r.reduced) finish_reduction(rank, r);
      w_.barrier = std::max(w_.barrier, r.now);
      if (++w_.at_barrier == priced_.ranks) open_barrier();
      return false;
    }
    if (!priced_.barrier && !r.reduced) finish_reduction(rank, r);
    return walks_.next_step(rank, r);
  }

  void open_barrier() {
    const Seconds leave = w_.barrier + priced_.sync;
    w_.at_barrier = 0;
    for (int rank = priced_.ranks - 1; rank >= 0; --rank) {
      Rank& r = w_.ranks[rank];
      r.collective_free = leave;
      if (walks_.pass_barrier(rank, r, w_.barrier, leave, recorder_)) w_.runnable.push_back(rank);
    }
  }

  const Schedule& schedule_;
  const PricedSchedule& priced_;
  const int steps_;
  ProgramWalks walks_;
  UncontendedWorkspace& w_;
  SpanRecorder& recorder_;
  PassResult& result_;
};

}  // namespace

void run_uncontended(const Schedule& schedule, const PricedSchedule& priced, int steps,
                     UncontendedWorkspace& workspace, SpanRecorder& recorder, PassResult& result) {
  Pass(schedule, priced, steps, workspace, recorder, result).run();
}

}  // namespace meshplan::planner
