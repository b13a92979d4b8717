#include "planner/schedule/schedule_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <vector>

#include "planner/schedule/dependencies.h"
#include "planner/schedule/lower.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;

constexpr int kMostChunks = 32'767;  // stages are 16 bits wide in an Instruction
constexpr int kMostMicrobatches = 1 << 24;

char letter(Action action) {
  switch (action) {
    case Action::Forward:
      return 'F';
    case Action::InputGrad:
      return 'I';
    case Action::WeightGrad:
      return 'W';
    default:
      return 'B';
  }
}

std::optional<Action> action_of(char letter) {
  switch (letter) {
    case 'F':
      return Action::Forward;
    case 'I':
      return Action::InputGrad;
    case 'W':
      return Action::WeightGrad;
    case 'B':
      return Action::Backward;
    default:
      return std::nullopt;
  }
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\"";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::optional<Instruction> instruction_of(std::string_view cell) {
  const std::size_t at = cell.find_first_not_of("0123456789");
  if (at == std::string_view::npos) return std::nullopt;
  const auto action = action_of(cell[at]);
  const auto number = [](std::string_view digits, int most) -> std::optional<int> {
    int value = 0;
    const char* end = digits.data() + digits.size();
    const auto [last, status] = std::from_chars(digits.data(), end, value);
    if (status != std::errc{} || last != end || value < 0 || value >= most) return std::nullopt;
    return value;
  };
  const auto chunk = number(cell.substr(0, at), kMostChunks);
  const auto microbatch = number(cell.substr(at + 1), kMostMicrobatches);
  if (!action || !chunk || !microbatch) return std::nullopt;
  return compute(*action, *chunk, *microbatch);
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& file) : file_(file) {
    int line = 0;
    while (!text.empty()) {
      ++line;
      const std::size_t end = std::min(text.find('\n'), text.size());
      if (!trimmed(text.substr(0, end)).empty()) read_row(text.substr(0, end), line);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (cells_ == 0) throw InputError(file_, "one row of cells such as 0F0 a rank", "nothing");
  }

  Schedule schedule(ScheduleOptions options) {
    options.forward_only = backwards_ == 0;
    require_complete(options.forward_only);
    PipelineShape shape;
    shape.stages = static_cast<int>(rows_.size());
    if (chunks_ % shape.stages != 0) {
      throw InputError(file_,
                       fmt::format("a multiple of {} chunks, one or more a row", shape.stages),
                       fmt::format("{}", chunks_));
    }
    shape.chunks_per_stage = chunks_ / shape.stages;
    shape.microbatches = microbatches_;
    const ScheduleKind kind = placement(shape);
    return lower(kind, shape, std::move(rows_), options, file_);
  }

 private:
  void read_row(std::string_view row, int line) {
    ComputeOrder order;
    order.reserve(static_cast<std::size_t>(std::count(row.begin(), row.end(), ',')) + 1);
    for (;;) {
      const std::size_t comma = std::min(row.find(','), row.size());
      const std::string_view cell = trimmed(row.substr(0, comma));
      if (!cell.empty()) order.push_back(read_cell(cell, line));
      if (comma == row.size()) break;
      row.remove_prefix(comma + 1);
    }
    rows_.push_back(std::move(order));
    lines_.push_back(line);
  }

  Instruction read_cell(std::string_view cell, int line) {
    const auto instruction = instruction_of(cell);
    if (!instruction) {
      throw InputError(fmt::format("{}:{}", file_, line),
                       "a cell <chunk><F|I|W|B><micro-batch> such as 0F0",
                       fmt::format("'{}'", cell.substr(0, 40)));
    }
    ++cells_;
    if (instruction->action != Action::Forward) ++backwards_;
    chunks_ = std::max(chunks_, instruction->chunk + 1);
    microbatches_ = std::max(microbatches_, instruction->microbatch + 1);
    return *instruction;
  }

  /// Each chunk on one row; F, and I and W or B, once for each chunk and micro-batch.
  void require_complete(bool forward_only) {
    const auto pairs = static_cast<std::int64_t>(chunks_) * microbatches_;
    // So that no table larger than the file is made for a number that stands in it once.
    if (pairs > cells_) {
      throw InputError(file_,
                       fmt::format("{} forwards for {} chunks and {} micro-batches", pairs, chunks_,
                                   microbatches_),
                       fmt::format("{} cells", cells_));
    }
    std::vector<std::uint8_t> seen(static_cast<std::size_t>(pairs), 0);  // bits F, I, W
    row_of_.assign(static_cast<std::size_t>(chunks_), -1);
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      for (const Instruction& i : rows_[row]) {
        const std::string where = fmt::format("{}:{}", file_, lines_[row]);
        int& owner = row_of_[static_cast<std::size_t>(i.chunk)];
        if (owner < 0) owner = static_cast<int>(row);
        if (owner != static_cast<int>(row)) {
          throw InputError(
              where, fmt::format("chunk {} on one row only", i.chunk),
              fmt::format("it here and on line {}", lines_[static_cast<std::size_t>(owner)]));
        }
        const unsigned bits = (i.action == Action::Forward ? 1u : 0u) |
                              (gives_input_grad(i.action) ? 2u : 0u) |
                              (gives_weight_grad(i.action) ? 4u : 0u);
        std::uint8_t& mine =
            seen[static_cast<std::size_t>(i.chunk) * static_cast<std::size_t>(microbatches_) +
                 static_cast<std::size_t>(i.microbatch)];
        if ((mine & bits) != 0) {
          throw InputError(where, "each part of a chunk's micro-batch once",
                           fmt::format("{}{}{} again", i.chunk, letter(i.action), i.microbatch));
        }
        mine = static_cast<std::uint8_t>(mine | bits);
      }
    }
    const unsigned all = forward_only ? 1 : 7;
    const auto gap = std::find_if(seen.begin(), seen.end(), [&](auto bits) { return bits != all; });
    if (gap == seen.end()) return;
    const auto at = std::distance(seen.begin(), gap);
    const char missing = (*gap & 1) == 0 ? 'F' : (*gap & 2) == 0 ? 'I' : 'W';
    throw InputError(file_,
                     fmt::format("{}{}{}{}", at / microbatches_, missing, at % microbatches_,
                                 missing == 'F' ? "" : " (or B)"),
                     "none");
  }

  ScheduleKind placement(const PipelineShape& shape) {
    const auto lies_as = [&](ScheduleKind kind) {
      for (int c = 0; c < chunks_; ++c) {
        if (row_of_[static_cast<std::size_t>(c)] != chunk_owner(kind, shape.stages, c))
          return false;
      }
      return true;
    };
    const int v = shape.chunks_per_stage;
    if (lies_as(ScheduleKind::Interleaved)) {
      return v == 1 ? ScheduleKind::OneFOneB : ScheduleKind::Interleaved;
    }
    if (v == 2 && lies_as(ScheduleKind::ZbV)) return ScheduleKind::ZbV;
    throw InputError(file_, "chunks round robin over the rows, or in a V", "another placement");
  }

  std::string file_;
  std::vector<ComputeOrder> rows_;
  std::vector<int> lines_;   ///< of each row
  std::vector<int> row_of_;  ///< by chunk
  std::int64_t cells_ = 0, backwards_ = 0;
  int chunks_ = 0, microbatches_ = 0;
};

}  // namespace

std::string schedule_csv(const Schedule& schedule) {
  std::string out;
  for (const auto& program : schedule.programs) {
    bool first = true;
    for (const Instruction& i : program) {
      if (!is_compute(i.action) || i.action == Action::Recompute) continue;
      fmt::format_to(std::back_inserter(out), "{}{}{}{}", first ? "" : ",", i.chunk,
                     letter(i.action), i.microbatch);
      first = false;
    }
    out += '\n';
  }
  return out;
}

Schedule schedule_from_csv(std::string_view text, const std::string& file,
                           const ScheduleOptions& options) {
  return Reader(text, file).schedule(options);
}

}  // namespace meshplan::planner
