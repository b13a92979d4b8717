#include "runtime/serve/serve_rank.h"

#include <algorithm>
#include <bit>
#include <deque>
#include <stdexcept>
#include <utility>

#include "runtime/execute/ends.h"
#include "runtime/execute/warm_up.h"

namespace meshplan::runtime {
namespace {

using planner::RequestWork;
using planner::Stream;
using Work = std::vector<RequestWork>;

class Server {
 public:
  Server(ServingContext& context, const ModelState& state, const SlotPlan& slots)
      : context_(context),
        state_(state),
        slots_(slots),
        cache_(context, static_cast<int>(state.layers.front().size()), slots) {}

  void run_round(int round) {
    const planner::ServingSchedule& schedule = context_.serving.schedule;
    start();
    context_.device.world().barrier();
    context_.recorder.mark_step();
    const auto steps = static_cast<int>(schedule.steps.size());
    for (int s = 0; s < steps; ++s) {
      const auto parts =
          microbatches(schedule.steps[static_cast<std::size_t>(s)].work, context_.layout().pp);
      context_.step = round * steps + s;
      for (std::size_t m = 0; m < parts.size(); ++m) {
        context_.microbatch = static_cast<int>(m);
        context_.device.world().note({context_.step, context_.microbatch});
        run(parts[m]);
      }
      context_.recorder.mark_step();
    }
    while (!on_their_way_.empty()) receive_tokens();
    if (round == 0) first_answers_ = answers_;
  }

  [[nodiscard]] std::vector<std::vector<GeneratedToken>> take_answers() {
    return std::move(first_answers_);
  }
  [[nodiscard]] profiles::Bytes cache_size() const { return cache_.size(); }

 private:
  [[nodiscard]] bool first() const { return context_.groups.here.pp == 0; }
  [[nodiscard]] bool last() const { return context_.groups.here.pp == context_.layout().pp - 1; }

  /// An empty cache, and texts that are the prompts alone.
  void start() {
    const auto requests = context_.serving.schedule.requests.size();
    texts_.clear();
    generated_.assign(requests, 0);
    answers_.assign(requests, {});
    for (std::size_t r = 0; first() && r < requests; ++r) {
      texts_.push_back(prompt_of(context_.serving, context_.groups.here.dp, static_cast<int>(r)));
    }
  }

  void run(const Work& work) {
    // Every stage counts tokens, whether it sees them or not.
    std::vector<bool> gives_token;
    std::vector<int> asked;  ///< requests that get a token
    for (const RequestWork& w : work) {
      const auto r = static_cast<std::size_t>(w.request);
      const int length = context_.serving.schedule.requests[r].prompt + generated_[r];
      gives_token.push_back(w.first + w.tokens == length);
      if (!gives_token.back()) continue;
      asked.push_back(w.request);
      ++generated_[r];
    }
    const std::vector<Batch> parts = batches(work, slots_, gives_token);

    Tensor x;
    if (first()) {
      wait_for_tokens(work);
      context_.begin(Piece::Matrices);
      x = embedded(context_, state_.embedding, tokens_of(work), positions_of(work));
    } else {
      context_.begin(Piece::Matrices);
      int rows = 0;
      for (const RequestWork& w : work) rows += w.tokens;
      Communicator& pp = *context_.groups.pp_forward;
      x = Tensor(context_.device, rows, context_.model().hidden, MemoryTerm::Communication,
                 context_.element, pp.queue());
      receive(pp, x, context_.groups.here.pp - 1, Stream::ReceiveForward);
    }
    const std::vector<LayerParameters>& layers = state_.layers.front();
    for (std::size_t l = 0; l < layers.size(); ++l) {
      x = decoder_layer(context_, layers[l], static_cast<int>(l), x, parts, cache_);
    }
    if (!last()) {
      send(*context_.groups.pp_forward, x, context_.groups.here.pp + 1, Stream::PipelineForward);
    } else if (!asked.empty()) {
      x = last_rows(context_, x, parts);
      take(asked, greedy_tokens(context_, state_.head, x));
      if (!first()) send_tokens(asked);
    }
    context_.end();
    if (first() && !last() && !asked.empty()) on_their_way_.push_back(std::move(asked));
  }

  [[nodiscard]] std::vector<std::int32_t> tokens_of(const Work& work) const {
    std::vector<std::int32_t> out;
    for (const RequestWork& w : work) {
      const auto begin = texts_[static_cast<std::size_t>(w.request)].begin() + w.first;
      out.insert(out.end(), begin, begin + w.tokens);
    }
    return out;
  }
  [[nodiscard]] static std::vector<std::int32_t> positions_of(const Work& work) {
    std::vector<std::int32_t> out;
    for (const RequestWork& w : work) {
      for (int i = 0; i < w.tokens; ++i) out.push_back(w.first + i);
    }
    return out;
  }

  void take(const std::vector<int>& asked, const std::vector<GeneratedToken>& tokens) {
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto r = static_cast<std::size_t>(asked[i]);
      answers_[r].push_back(tokens.at(i));
      if (first()) texts_[r].push_back(tokens[i].token);
    }
  }

  /// Until the first stage knows what `work` reads.
  void wait_for_tokens(const Work& work) {
    const auto known = [&](const RequestWork& w) {
      return w.first + w.tokens <=
             static_cast<int>(texts_[static_cast<std::size_t>(w.request)].size());
    };
    while (!std::all_of(work.begin(), work.end(), known)) {
      if (on_their_way_.empty()) throw std::logic_error("a step reads what no step has made");
      receive_tokens();
    }
  }

  void receive_tokens() {
    const std::vector<int> asked = std::move(on_their_way_.front());
    on_their_way_.pop_front();
    context_.begin(Piece::Host);
    Communicator& pp = *context_.groups.pp_backward;
    const Tensor words(context_.device, 1, static_cast<std::int64_t>(asked.size()),
                       MemoryTerm::Communication, kernels::ElementType::F32, pp.queue());
    receive(pp, words, context_.layout().pp - 1, Stream::ReceiveBackward);
    std::vector<float> bits(asked.size());
    context_.device.download(words.memory(), std::as_writable_bytes(std::span(bits)));
    std::vector<GeneratedToken> tokens;
    for (const float word : bits) tokens.push_back({std::bit_cast<std::int32_t>(word), 0, -1, 0});
    take(asked, tokens);
    context_.end();
  }

  void send_tokens(const std::vector<int>& asked) {
    std::vector<std::int32_t> ids;
    for (const int request : asked) {
      ids.push_back(answers_[static_cast<std::size_t>(request)].back().token);
    }
    const Tensor words =
        context_.tensor(1, static_cast<std::int64_t>(ids.size()), MemoryTerm::Communication);
    context_.device.upload(std::as_bytes(std::span(ids)), words.memory());
    send(*context_.groups.pp_backward, words, 0, Stream::PipelineBackward);
  }

  void send(Communicator& pp, const Tensor& tensor, int peer, Stream stream) {
    const Transfer transfer{Transfer::Kind::Send, peer, 0, tensor.buffer()};
    const Moment end =
        context_.recorder.transferred(stream, pp, [&] { pp.exchange(std::span(&transfer, 1)); });
    context_.device.keep(tensor.owner(), end);
  }

  void receive(Communicator& pp, const Tensor& tensor, int peer, Stream stream) {
    if (!context_.device.asynchronous()) {
      context_.recorder.idle([&] { pp.await(peer, 0); });
      context_.recorder.transferred(stream, pp, [&] { pp.receive(tensor.buffer(), peer, 0); });
      return;
    }
    const Transfer transfer{Transfer::Kind::Receive, peer, 0, tensor.buffer()};
    context_.recorder.after(
        context_.recorder.transferred(stream, pp, [&] { pp.exchange(std::span(&transfer, 1)); }));
  }

  ServingContext& context_;
  const ModelState& state_;
  const SlotPlan& slots_;
  KvCache cache_;
  std::vector<std::vector<std::int32_t>> texts_;  ///< by request, on the first stage
  std::vector<int> generated_;                    ///< tokens, by request
  std::vector<std::vector<GeneratedToken>> answers_, first_answers_;
  /// Requests of the micro-batches whose tokens the last stage will send, in its order.
  std::deque<std::vector<int>> on_their_way_;
};

/// The pairs of stages that talk, in one order for all ranks.
std::vector<CommunicatingPair> pairs_of(int stages) {
  std::vector<CommunicatingPair> out;
  if (stages > 1) out.push_back({false, stages - 1, 0});
  for (int s = 0; s + 1 < stages; ++s) out.push_back({true, s, s + 1});
  return out;
}

}  // namespace

ServedRank serve_rank(const Serving& serving, Device& device) {
  refuse_unsupported(serving);
  Communicator& world = device.world();
  Groups groups = make_groups(serving.layout, serving.model.kv_heads, world);
  Recorder recorder(device, world.rank());
  ServingContext context(serving, device, groups, recorder);
  const SlotPlan slots = slot_plan(serving.schedule);
  const ModelState state = make_weights(serving.model, serving.layout, context.element,
                                        serving.seed, groups.here, device);
  context.rotary = rotary_tables(context, slots.capacity);
  Server server(context, state, slots);
  warm_up(context, pairs_of(serving.layout.pp));
  for (int round = 0; round < serving.rounds; ++round) server.run_round(round);

  ServedRank out;
  out.here = groups.here;
  out.answers = server.take_answers();
  out.spans = recorder.spans();
  out.marks = recorder.step_starts();
  out.weights = device.memory().term_peaks()[MemoryTerm::Weights];
  out.cache = server.cache_size();
  out.peak = device.memory().peak().total();
  return out;
}

}  // namespace meshplan::runtime
