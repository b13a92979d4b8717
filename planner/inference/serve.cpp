#include "planner/inference/serve.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>
#include <vector>

#include "planner/inference/serving_schedule.h"

namespace meshplan::planner {
namespace {

using profiles::Engine;
using profiles::Seconds;

/// Steps of additive sequences, as irrational as they can be: evenly spread, and prompts, answers
/// and delays independent of each other.
constexpr double kOfPrompts = 0.6180339887498949, kOfOutputs = 0.7548776662466927,
                 kOfDelays = 0.5698402909980532;

/// Requests alike in everything that is still to happen.
struct Requests {
  int first = 0;  ///< number of the first of them, in the order of sending
  int count = 1;
  int prompt = 0, output = 0;
  double sent = 0;         ///< when its user sent it
  double ready = 0;        ///< when it reached the scheduler
  double first_token = 0;  ///< when its first token came
  int generated = 0;       ///< tokens of the answer so far
  int read = 0;  ///< of what must be read before decoding: prompt, after a preemption also
                 ///< what was generated
  [[nodiscard]] int to_read() const { return prompt + std::max(generated - 1, 0); }
  [[nodiscard]] int left() const { return output - generated; }
};

class Server {
 public:
  Server(const StepCost& cost, const Engine& engine, const Load& load, std::int64_t room,
         ServingSchedule* made)
      : cost_(cost), engine_(engine), load_(load), room_(static_cast<double>(room)), made_(made) {}

  Service run() {
    Service out;
    if ((1 + load_.spread) * (load_.prompt + load_.output) > room_) {
      out.served = false;
      return out;
    }
    for (int user = 0; user < load_.users && issued_ < load_.requests;) {
      const int alike = one_by_one() ? 1 : std::min(load_.users, load_.requests);
      send(0, alike);
      user += alike;
    }
    while (finished_ < load_.requests) advance();
    out.ttft = ttft_.mean();
    out.tpot = tpot_.mean();
    out.ttft_percentiles = ttft_.percentiles();
    out.tpot_percentiles = tpot_.percentiles();
    out.duration = Seconds{now_};
    out.tokens_per_second = now_ > 0 ? tokens_ / now_ : 0;
    out.decoding = decode_steps_ > 0 ? decoded_ / decode_steps_ : 0;
    out.preempted = preempted_;
    return out;
  }

 private:
  /// Where the request that is sent now lies from 0 to 1, evenly spread over the requests.
  [[nodiscard]] double place(double ratio) const { return std::fmod(issued_ * ratio, 1.0); }

  int length(int average, double ratio) const {
    const double part = 1 + load_.spread * (2 * place(ratio) - 1);
    return std::max(1, static_cast<int>(std::lround(average * part)));
  }

  /// Whether requests sent at the same time differ.
  [[nodiscard]] bool one_by_one() const { return load_.online || load_.spread > 0; }

  void send(double at, int count) {
    count = std::min(count, load_.requests - issued_);
    if (count <= 0) return;
    Requests next;
    next.first = issued_;
    next.count = count;
    next.prompt = length(load_.prompt, kOfPrompts);
    next.output = length(load_.output, kOfOutputs);
    next.sent = next.ready = at;
    if (load_.online) {
      front_end_free_ = std::max(front_end_free_, at) + engine_.receive.count();
      next.ready = front_end_free_ + 2 * engine_.request.count() * place(kOfDelays);
    }
    issued_ += count;
    coming_.insert(std::ranges::upper_bound(coming_, next.ready, {}, &Requests::ready), next);
    if (made_ == nullptr) return;
    const auto done = static_cast<int>(made_->steps.size());
    made_->requests.insert(made_->requests.end(), static_cast<std::size_t>(count),
                           {next.prompt, next.output, done});
  }

  /// Cache that a request takes now or has been promised.
  [[nodiscard]] double committed(const Requests& r, int held) const {
    return r.count * (held + engine_.reserved_output * r.left());
  }

  /// One step, or several in which nothing comes or goes.
  void advance() {
    const double settled = engine_.schedules_ahead ? last_start_ : now_;
    while (!coming_.empty() && coming_.front().ready <= settled) {
      waiting_.push_back(coming_.front());
      coming_.pop_front();
    }
    make_room();
    Step step{.streams = load_.online};
    read_prompts(step);
    const bool decodes = !running_.empty() && (step.prompt_tokens == 0 ||
                                               (engine_.fuses_prefill && !load_.prompts_first));
    if (decodes) add_decoding(step);
    if (step.prompt_tokens == 0 && step.decoding == 0) {
      now_ = std::max(now_, coming_.front().ready);
      last_start_ = now_;
      return;
    }
    int repeats = 1;
    if (made_ != nullptr) {
      made_->steps.push_back({step, std::move(work_)});
      work_.clear();
    } else if (step.prompt_tokens == 0) {
      repeats = quiet_steps(step);
    }
    // Keys grow by one a step: the mean of the run.
    step.cached += (repeats - 1) / 2.0;
    const double each = cost_(step).count();
    now_ += repeats * each;
    last_start_ = now_ - each;
    if (decodes) decode(repeats);
    start_decoding();
  }

  /// Preempts the youngest until every running request has room for its next token.
  void make_room() {
    double held = 0;
    double growing = 0;
    for (const Requests& r : running_) {
      held += r.count * static_cast<double>(r.prompt + r.generated);
      growing += r.count;
    }
    for (const Requests& r : reading_) held += r.count * static_cast<double>(r.to_read());
    while (held + growing > room_ && !running_.empty()) {
      Requests& youngest = running_.back();
      Requests one = youngest;
      one.first += one.count - 1;
      one.count = 1;
      one.read = 0;
      held -= one.prompt + one.generated;
      growing -= 1;
      waiting_.push_front(one);
      ++preempted_;
      if (--youngest.count == 0) running_.pop_back();
      // Nothing is admitted in the step of a preemption, or it would come back at once.
      blocked_ = true;
    }
  }

  /// Takes in what fits and reads up to the budget of tokens.
  void read_prompts(Step& step) {
    double committed_now = 0;
    int decoding = 0;
    for (const Requests& r : running_) {
      committed_now += committed(r, r.prompt + r.generated);
      decoding += r.count;
    }
    int under_way = decoding;
    for (const Requests& r : reading_) {
      committed_now += committed(r, r.to_read());
      under_way += r.count;
    }
    const bool beside = engine_.fuses_prefill && !load_.prompts_first;
    double budget = engine_.max_batched_tokens - (beside ? decoding : 0);
    for (Requests& r : reading_) budget -= read(r, budget, step);
    const bool open = !blocked_;
    blocked_ = false;
    while (open && !waiting_.empty() && budget >= 1) {
      Requests& next = waiting_.front();
      const int whole = next.to_read();
      if (!engine_.chunked_prefill && whole > budget && step.prompt_tokens > 0) break;
      Requests one = next;
      one.count = 1;
      const double each = std::max(committed(one, whole), whole + 1.0);
      const double places = std::floor((room_ - committed_now) / each + 1e-9);
      const double seats = engine_.max_sequences - under_way;
      // Those whose prompts are read whole in this step; at least one, which may be cut.
      const double fit = std::max(1.0, std::floor(budget / whole));
      const int taken = static_cast<int>(std::min({places, seats, fit, 1.0 * next.count}));
      if (taken < 1) break;
      Requests group = next;
      group.count = taken;
      next.first += taken;
      next.count -= taken;
      if (next.count == 0) waiting_.pop_front();
      committed_now += taken * each;
      under_way += taken;
      budget -= read(group, budget, step);
      reading_.push_back(group);
    }
  }

  /// Reads tokens of `r` within the budget; the tokens taken.
  double read(Requests& r, double budget, Step& step) {
    const int whole = r.to_read();
    int chunk = whole - r.read;
    if (engine_.chunked_prefill) chunk = std::min(chunk, static_cast<int>(budget / r.count));
    if (chunk <= 0) return 0;
    const double before = r.read;
    const double after = before + chunk;
    step.prompt_tokens += static_cast<double>(r.count) * chunk;
    step.prompt_pairs += r.count * (after * (after + 1) - before * (before + 1)) / 2;
    note(r, r.read, chunk);
    r.read += chunk;
    if (r.read == whole) step.prompts += r.count;
    return static_cast<double>(r.count) * chunk;
  }

  /// Tokens [first, first + tokens) of each of `r` are in this step.
  void note(const Requests& r, int first, int tokens) {
    if (made_ == nullptr) return;
    for (int i = 0; i < r.count; ++i) work_.push_back({r.first + i, first, tokens});
  }

  void add_decoding(Step& step) {
    double keys = 0;
    for (const Requests& r : running_) {
      step.decoding += r.count;
      keys += r.count * static_cast<double>(r.prompt + r.generated);
      note(r, r.prompt + r.generated - 1, 1);
    }
    step.cached = keys / step.decoding;
  }

  /// Steps until a request ends, one comes that might be taken in, or the cache is full.
  [[nodiscard]] int quiet_steps(const Step& step) {
    int steps = INT32_MAX;
    for (const Requests& r : running_) steps = std::min(steps, r.left());
    const double free = room_ - step.cached * step.decoding;
    steps = std::min(steps, std::max(1, static_cast<int>(free / step.decoding)));
    // Attention is linear in the keys only over short runs.
    steps = std::min(steps, std::max(16, static_cast<int>(step.cached / 4)));
    const bool seats = step.decoding < engine_.max_sequences;
    if (seats && waiting_.empty() && !coming_.empty() && steps > 1) {
      const double each = cost_(step).count();
      const double until = coming_.front().ready - now_;
      steps = std::min(steps, std::max(1, static_cast<int>(std::ceil(until / each))));
    }
    return steps;
  }

  void decode(int steps) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < running_.size(); ++i) {
      Requests r = running_[i];
      decoded_ += static_cast<double>(r.count) * steps;
      r.generated += steps;
      if (r.left() > 0) {
        running_[kept++] = r;
      } else {
        finish(r);
      }
    }
    running_.resize(kept);
    decode_steps_ += steps;
  }

  void finish(const Requests& r) {
    finished_ += r.count;
    tokens_ += static_cast<double>(r.count) * r.output;
    if (r.output > 1) {
      tpot_.add((now_ - r.first_token) / (r.output - 1), r.count);
    }
    if (one_by_one()) {
      for (int i = 0; i < r.count; ++i) send(now_, 1);
    } else {
      send(now_, r.count);
    }
  }

  /// Requests whose prompt is read get their first token.
  void start_decoding() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < reading_.size(); ++i) {
      Requests r = reading_[i];
      if (r.read < r.to_read()) {
        reading_[kept++] = r;
        continue;
      }
      if (r.generated == 0) {
        r.generated = 1;
        r.first_token = now_;
        ttft_.add(now_ - r.sent, r.count);
      }
      if (r.left() <= 0) {
        finish(r);
        continue;
      }
      const bool alike = !running_.empty() && running_.back().generated == r.generated &&
                         running_.back().output == r.output && running_.back().prompt == r.prompt &&
                         running_.back().first_token == r.first_token &&
                         running_.back().first + running_.back().count == r.first;
      if (alike) {
        running_.back().count += r.count;
      } else {
        running_.push_back(r);
      }
    }
    reading_.resize(kept);
  }

  const StepCost& cost_;
  const Engine& engine_;
  const Load& load_;
  const double room_;
  ServingSchedule* const made_;
  std::vector<RequestWork> work_;  ///< of the step that is being put together, where it is noted
  double now_ = 0;
  double last_start_ = 0;  ///< of the last step, or when the engine woke
  double front_end_free_ = 0;
  int issued_ = 0, finished_ = 0;
  bool blocked_ = false;
  std::deque<Requests> coming_, waiting_;
  std::vector<Requests> reading_, running_;  ///< in the order in which they were taken in
  Samples ttft_, tpot_;
  double tokens_ = 0;
  double decoded_ = 0, decode_steps_ = 0;
  std::int64_t preempted_ = 0;
};

}  // namespace

int offline_requests(std::int64_t tokens) {
  if (tokens <= 256) return 30000;
  if (tokens <= 2500) return 3000;
  return tokens <= 5500 ? 1500 : 1000;
}

Service serve(const StepCost& cost, const Engine& engine, const Load& load, std::int64_t room,
              ServingSchedule* made) {
  return Server(cost, engine, load, room, made).run();
}

}  // namespace meshplan::planner
