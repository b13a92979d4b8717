#include "planner/simulate/trace.h"

#include <fmt/ostream.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "planner/schedule/dependencies.h"
#include "planner/simulate/instruction_label.h"
#include "planner/simulate/memory_over_time.h"
#include "planner/simulate/terms.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

constexpr int kStreams = 6;
constexpr std::array<std::string_view, kStreams> kStreamNames = {
    "compute",          "send forward",    "send backward",
    "data parallelism", "receive forward", "receive backward"};
constexpr std::array<std::string_view, 9> kTermNames = {
    "compute", "optimizer", "tp", "cp", "ep", "dp", "pp", "overhead", "bubble"};

double microseconds(Seconds time) { return time.count() * 1e6; }

class TraceWriter {
 public:
  TraceWriter(std::ostream& out, const Schedule& schedule, const Timeline& timeline,
              const TraceOptions& options)
      : out_(out), schedule_(schedule), timeline_(timeline), options_(options) {}

  void write() {
    out_ << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
    for (int rank = 0; rank < timeline_.ranks; ++rank) {
      names(rank);
      const auto spans = spans_of(timeline_, rank);
      for (std::size_t i = 0; i < spans.size(); ++i)
        slice(spans[i], i + 1 < spans.size() ? &spans[i + 1] : nullptr);
      memory(rank);
    }
    out_ << "\n]}\n";
  }

 private:
  [[nodiscard]] int node(int rank) const {
    return options_.node_of_rank.empty() ? 0 : options_.node_of_rank.at(rank);
  }
  static int thread(int rank, Stream stream) { return rank * kStreams + static_cast<int>(stream); }

  template <class... Args>
  void event(fmt::format_string<Args...> format, Args&&... args) {
    out_ << (first_ ? "\n" : ",\n");
    first_ = false;
    fmt::print(out_, format, std::forward<Args>(args)...);
  }

  void names(int rank) {
    if (std::find(named_.begin(), named_.end(), node(rank)) == named_.end()) {
      named_.push_back(node(rank));
      event(R"({{"ph": "M", "name": "process_name", "pid": {0}, "args": {{"name": "node {0}"}}}})",
            node(rank));
    }
    for (int stream = 0; stream < kStreams; ++stream) {
      const int tid = thread(rank, static_cast<Stream>(stream));
      event(
          R"({{"ph": "M", "name": "thread_name", "pid": {}, "tid": {}, "args": {{"name": "rank {} {}"}}}})",
          node(rank), tid, rank, kStreamNames[stream]);
      event(
          R"({{"ph": "M", "name": "thread_sort_index", "pid": {}, "tid": {}, "args": {{"sort_index": {}}}}})",
          node(rank), tid, tid);
    }
  }

  void slice(const Span& span, const Span* next) {
    if (span.instruction < 0) return;
    const Instruction& in = schedule_.programs[span.rank][span.instruction];
    Seconds end = span.end;
    if (next != nullptr && next->stream == span.stream) end = std::min(end, next->start);
    const std::string_view term = kTermNames[static_cast<int>(span.term)];
    event(
        R"({{"ph": "X", "name": "{}{}{}", "cat": "{}", "pid": {}, "tid": {}, "ts": {:.6f}, "dur": {:.6f}, "args": {{"step": {}, "instruction": {}, "end_seconds": {}}}}})",
        instruction_label(in), is_compute(in.action) && span.term != Term::Compute ? " " : "",
        is_compute(in.action) && span.term != Term::Compute ? term : "", term, node(span.rank),
        thread(span.rank, span.stream), microseconds(span.start), microseconds(end - span.start),
        span.step, span.instruction, span.end.count());
    if (is_transfer(in.action)) arrow(span, in);
  }

  /// The ends of an arrow find each other by the slot of the receiver.
  void arrow(const Span& span, const Instruction& in) {
    const bool backward = in.action == Action::SendBackward || in.action == Action::ReceiveBackward;
    const int receiver = in.chunk + (is_send(in.action) ? (backward ? -1 : 1) : 0);
    const std::int64_t lane =
        2 * static_cast<std::int64_t>(schedule_.chunk_count()) * schedule_.microbatches;
    const std::int64_t id = lane * (span.step + 1) +
                            (receiver + (backward ? std::int64_t{schedule_.chunk_count()} : 0)) *
                                schedule_.microbatches +
                            in.microbatch;
    event(
        R"({{"ph": "{}", "bp": "e", "id": {}, "name": "{}", "cat": "transfer", "pid": {}, "tid": {}, "ts": {:.6f}}})",
        is_send(in.action) ? "s" : "f", id, backward ? "gradient" : "activation", node(span.rank),
        thread(span.rank, span.stream), microseconds(span.start));
  }

  void memory(int rank) {
    const auto resident =
        options_.resident.empty() ? profiles::Bytes{} : options_.resident.at(rank);
    for (const MemoryPoint& point : memory_over_time(schedule_, timeline_, rank, resident).points)
      event(
          R"({{"ph": "C", "name": "memory of rank {}", "pid": {}, "ts": {:.6f}, "args": {{"bytes": {}}}}})",
          rank, node(rank), microseconds(point.time), point.bytes.count);
  }

  std::ostream& out_;
  const Schedule& schedule_;
  const Timeline& timeline_;
  const TraceOptions& options_;
  std::vector<int> named_;  ///< nodes
  bool first_ = true;
};

}  // namespace

void write_trace(std::ostream& out, const Schedule& schedule, const Timeline& timeline,
                 const TraceOptions& options) {
  TraceWriter(out, schedule, timeline, options).write();
}

}  // namespace meshplan::planner
