#include "planner/simulate/contended.h"

#include <algorithm>

#include "planner/schedule/dependencies.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;
using W = ContendedWorkspace;

enum EventKind { kComputeEnd, kOperationReady, kOperationEnd };
enum StreamKind { kForward, kBackward, kCollectives };

bool later(const W::Event& a, const W::Event& b) {
  if (a.time != b.time) return a.time > b.time;
  if (a.kind != b.kind) return a.kind > b.kind;
  return a.id > b.id;
}

class Pass {
 public:
  Pass(const Schedule& schedule, const PricedSchedule& priced, int steps, W& workspace,
       SpanRecorder& recorder, PassResult& result)
      : schedule_(schedule),
        priced_(priced),
        steps_(steps),
        walks_(schedule, priced, steps, result),
        w_(workspace),
        recorder_(recorder),
        result_(result) {}

  void run() {
    reset();
    for (;;) {
      const auto [flow_time, flow] = w_.links.next();
      if (flow >= 0 && (w_.events.empty() || flow_time < w_.events.front().time)) {
        clock_ = flow_time;
        w_.links.finish(flow);
        operation_end(flow);
        continue;
      }
      if (w_.events.empty()) break;
      const W::Event event = w_.events.front();
      std::pop_heap(w_.events.begin(), w_.events.end(), later);
      w_.events.pop_back();
      clock_ = event.time;
      switch (event.kind) {
        case kComputeEnd:
          advance(event.id);
          break;
        case kOperationReady:
          start_next(event.id);
          break;
        case kOperationEnd:
          operation_end(event.id);
          break;
      }
    }
    for (int rank = 0; rank < priced_.ranks; ++rank) {
      const auto& r = w_.ranks[rank];
      if (r.wait == W::Wait::Arrival) throw_stuck(schedule_, rank, r.cursor - r.begin);
      result_.busy[rank] = r.busy;
    }
  }

 private:
  using Rank = W::Rank;
  using Wait = W::Wait;

  void reset() {
    w_.ranks.assign(priced_.ranks, {});
    w_.streams.resize(3 * static_cast<std::size_t>(priced_.ranks));
    for (auto& stream : w_.streams) {
      stream.queue.clear();
      stream.head = 0;
      stream.busy = false;
    }
    w_.gathers.assign(priced_.chunks.size(), {});
    w_.arrivals.assign(priced_.slots() * steps_, Seconds{-1});
    w_.events.clear();
    w_.links.reset(static_cast<int>(priced_.costs->links.size()), 3 * priced_.ranks);
    w_.at_barrier = 0;
    clock_ = Seconds{0};
    walks_.reset();
    for (int rank = 0; rank < priced_.ranks; ++rank) {
      walks_.start(rank, w_.ranks[rank]);
      push({Seconds{0}, kComputeEnd, rank});
    }
  }

  void push(W::Event event) {
    w_.events.push_back(event);
    std::push_heap(w_.events.begin(), w_.events.end(), later);
  }

  /// Issues what `rank` can issue now and starts its next compute instruction.
  void advance(int rank) {
    Rank& r = w_.ranks[rank];
    r.wait = Wait::Nothing;
    while (!r.done) {
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
          ++r.cursor;
          return;
        case Action::OptimizerStep:
          if (!optimizer(rank, r)) return;
          ++r.cursor;
          return;
        case Action::SendForward:
          send(rank, r, in, kForward, priced_.chunks[in.chunk].forward, in.chunk + 1,
               priced_.input_slot(in.chunk + 1, in.microbatch));
          break;
        case Action::SendBackward:
          send(rank, r, in, kBackward, priced_.chunks[in.chunk].backward, in.chunk - 1,
               priced_.gradient_slot(in.chunk - 1, in.microbatch));
          break;
        case Action::ParameterGather:
          gather(rank, r, in);
          break;
        case Action::OptimizerSync:
        case Action::GradientReduce:
        case Action::ReceiveForward:
        case Action::ReceiveBackward:
          break;
      }
      ++r.cursor;
    }
  }

  bool compute(int rank, Rank& r, const Instruction& in) {
    const auto& chunk = priced_.chunks[in.chunk];
    auto& gather = w_.gathers[in.chunk];
    const bool first_use = in.action == Action::Forward && gather.buckets + gather.missing > 0;
    if (r.gathers > 0 && (!priced_.overlap_gather || (first_use && gather.missing > 0))) {
      r.wait = Wait::Gathers;
      return false;
    }
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
        r.wait = Wait::Arrival;
        r.slot = slot;
        return false;
      }
      start = std::max(start, arrival);
    }
    const Seconds duration = chunk.duration[static_cast<int>(in.action)];
    Seconds end = start + duration;
    if (first_use) {
      start = std::max(start, gather.first);
      end = std::max(start + duration, gather.last + duration / gather.buckets);
      if (end > start + duration) start = end - duration;
      gather.buckets = 0;
    }
    if (recorder_.wants(rank))
      recorder_.compute(rank, r.index(), r.step, start, end,
                        chunk.work[static_cast<int>(in.action)]);
    if (&in == chunk.last_producer && priced_.overlap_reduce) reduce(rank, r, in.chunk, start, end);
    r.busy += duration;
    r.now = end;
    push({end, kComputeEnd, rank});
    return true;
  }

  /// False: gradients are still under way.
  bool optimizer(int rank, Rank& r) {
    if (!r.reduced && !finish_reduction(rank, r)) return false;
    const Seconds duration = priced_.costs->stages[rank].optimizer;
    if (recorder_.wants(rank))
      recorder_.add(rank, r.index(), r.step, Stream::Compute, Term::Optimizer, r.now,
                    r.now + duration);
    r.now += duration;
    r.busy += duration;
    push({r.now, kComputeEnd, rank});
    return true;
  }

  void send(int rank, const Rank& r, const Instruction& in, StreamKind kind, const HopCost& hop,
            int to_chunk, std::int64_t slot) {
    enqueue(3 * rank + kind, {.ready = r.now,
                              .work = hop.transfer,
                              .latency = hop.latency,
                              .early = hop.early,
                              .links = {hop.link, hop.far_link},
                              .instruction = static_cast<std::int32_t>(&in - r.begin),
                              .step = r.step,
                              .chunk = to_chunk,
                              .slot = slot});
  }

  void gather(int rank, Rank& r, const Instruction& in) {
    const auto& prices = priced_.costs->chunks[in.chunk].parameter_gather;
    ++r.gathers;
    ++w_.gathers[in.chunk].missing;
    collective(rank, r, r.now, prices.empty() ? Seconds{0} : prices[in.peer], r.index(), in.chunk,
               true);
  }

  void reduce(int rank, Rank& r, int chunk, Seconds start, Seconds end) {
    for (int i = priced_.reduces_begin[rank]; i < priced_.reduces_begin[rank + 1]; ++i) {
      const auto& bucket = priced_.reduces[i];
      if (chunk >= 0 && bucket.chunk != chunk) continue;
      const bool last = bucket.bucket + 1 == bucket.buckets;
      const Seconds ready =
          last ? end : start + (end - start) * (double(bucket.bucket + 1) / bucket.buckets);
      collective(rank, r, ready, bucket.price, bucket.instruction, bucket.chunk, false);
    }
  }

  void collective(int rank, Rank& r, Seconds ready, Seconds price, int instruction, int chunk,
                  bool is_gather) {
    ++r.collectives;
    enqueue(3 * rank + kCollectives, {.ready = ready,
                                      .work = price,
                                      .links = {priced_.costs->stages[rank].reduce_link, -1},
                                      .instruction = instruction,
                                      .step = r.step,
                                      .chunk = chunk,
                                      .gather = is_gather});
  }

  void enqueue(int stream, const W::Operation& operation) {
    w_.streams[stream].queue.push_back(operation);
    start_next(stream);
  }

  void start_next(int id) {
    auto& stream = w_.streams[id];
    if (stream.busy || stream.head == stream.queue.size()) return;
    W::Operation& op = stream.queue[stream.head];
    if (op.ready > clock_) {
      push({op.ready, kOperationReady, id});
      return;
    }
    stream.busy = true;
    op.started = clock_;
    if (op.work > Seconds{0} && (op.links[0] >= 0 || op.links[1] >= 0))
      w_.links.start(id, clock_, op.work, op.links);
    else
      push({clock_ + op.work, kOperationEnd, id});
  }

  void operation_end(int id) {
    auto& stream = w_.streams[id];
    const W::Operation op = stream.queue[stream.head];
    stream.busy = false;
    if (++stream.head == stream.queue.size()) {
      stream.queue.clear();
      stream.head = 0;
    }
    const int rank = id / 3;
    op.slot >= 0 ? arrive(rank, op, id % 3 == kForward) : complete(rank, op);
    start_next(id);
  }

  void arrive(int sender, const W::Operation& op, bool forward) {
    const Seconds arrival = clock_ + op.latency - op.early;
    const int receiver = priced_.chunks[op.chunk].stage;
    const std::int64_t lane_slot = op.slot + priced_.lane(op.step);
    w_.arrivals[lane_slot] = arrival;
    if (recorder_.wants(sender) || recorder_.wants(receiver))
      recorder_.transfer(sender, op.instruction, op.step, receiver, op.slot, forward,
                         op.started - op.early, arrival);
    const Rank& r = w_.ranks[receiver];
    if (r.wait == Wait::Arrival && r.slot == lane_slot) advance(receiver);
  }

  void complete(int rank, const W::Operation& op) {
    Rank& r = w_.ranks[rank];
    --r.collectives;
    if (recorder_.wants(rank))
      recorder_.add(rank, op.instruction, op.step, Stream::DataParallel, Term::DataParallel,
                    op.started, clock_);
    if (op.gather) {
      --r.gathers;
      auto& gather = w_.gathers[op.chunk];
      --gather.missing;
      if (priced_.overlap_gather) {
        if (gather.buckets++ == 0) gather.first = clock_;
        gather.last = clock_;
      } else {
        r.gathered = clock_;
      }
    }
    if (r.wait == Wait::Collectives && r.collectives == 0) {
      r.now = std::max(r.now, clock_);
      advance(rank);
    } else if (r.wait == Wait::Gathers) {
      advance(rank);
    }
  }

  /// False: gradients are still under way, and `rank` waits for them.
  bool finish_reduction(int rank, Rank& r) {
    if (!r.reduced && !priced_.overlap_reduce) reduce(rank, r, -1, r.now, r.now);
    r.reduced = true;
    if (r.collectives > 0) {
      r.wait = Wait::Collectives;
      return false;
    }
    return true;
  }

  bool turn(int rank, Rank& r) {
    if (priced_.barrier && r.before_barrier) {
      if (!r.reduced && !finish_reduction(rank, r)) return false;
      if (++w_.at_barrier == priced_.ranks) open_barrier();
      return false;
    }
    if (!priced_.barrier && !r.reduced && !finish_reduction(rank, r)) return false;
    r.done = !walks_.next_step(rank, r);
    return !r.done;
  }

  void open_barrier() {
    const Seconds leave = clock_ + priced_.sync;
    w_.at_barrier = 0;
    for (int rank = 0; rank < priced_.ranks; ++rank) {
      Rank& r = w_.ranks[rank];
      r.done = !walks_.pass_barrier(rank, r, clock_, leave, recorder_);
      if (!r.done) push({leave, kComputeEnd, rank});
    }
  }

  const Schedule& schedule_;
  const PricedSchedule& priced_;
  const int steps_;
  ProgramWalks walks_;
  W& w_;
  SpanRecorder& recorder_;
  PassResult& result_;
  Seconds clock_{0};
};

}  // namespace

void run_contended(const Schedule& schedule, const PricedSchedule& priced, int steps, W& workspace,
                   SpanRecorder& recorder, PassResult& result) {
  Pass(schedule, priced, steps, workspace, recorder, result).run();
}

}  // namespace meshplan::planner
