#include "planner/layout/layout_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::planner {

using profiles::did_you_mean;
using profiles::InputError;

const std::array<std::pair<std::string_view, Recompute>, 3> kRecomputeNames = {
    {{"none", Recompute::None}, {"selective", Recompute::Selective}, {"full", Recompute::Full}}};
const std::array<std::pair<std::string_view, Overlap>, 4> kOverlapNames = {
    {{"none", Overlap::None},
     {"grad", Overlap::Grad},
     {"grad+param", Overlap::GradParam},
     {"grad+param+tp", Overlap::GradParamTp}}};
const std::array<std::pair<std::string_view, ContextKind>, 3> kContextNames = {
    {{"ring", ContextKind::Ring},
     {"allgather", ContextKind::AllGather},
     {"ulysses", ContextKind::Ulysses}}};
const std::array<std::pair<std::string_view, Offload>, 3> kOffloadNames = {
    {{"none", Offload::None},
     {"activations", Offload::Activations},
     {"optimizer", Offload::Optimizer}}};
const std::array<std::pair<std::string_view, ScheduleKind>, 6> kScheduleNames = {
    {{"gpipe", ScheduleKind::GPipe},
     {"1f1b", ScheduleKind::OneFOneB},
     {"interleaved", ScheduleKind::Interleaved},
     {"zb-h1", ScheduleKind::ZbH1},
     {"zb-h2", ScheduleKind::ZbH2},
     {"zb-v", ScheduleKind::ZbV}}};

namespace {

constexpr std::array<std::pair<std::string_view, Axis>, 4> kAxisNames = {
    {{"tp", Axis::Tp}, {"cp", Axis::Cp}, {"dp", Axis::Dp}, {"pp", Axis::Pp}}};

template <typename Names, typename Value>
std::string_view name_in(const Names& names, Value value) {
  return std::find_if(names.begin(), names.end(), [&](auto& n) { return n.second == value; })
      ->first;
}

/// One key of the text form: `name` directly followed by a number, "name=value", or the bare name.
class KeyReader {
 public:
  KeyReader(std::string_view item, std::string where) : where_(std::move(where)) {
    const std::size_t equals = item.find('=');
    if (equals != std::string_view::npos) {
      key_ = item.substr(0, equals);
      value_ = item.substr(equals + 1);
      return;
    }
    std::size_t digits = item.size();
    while (digits > 0 && (std::isdigit(static_cast<unsigned char>(item[digits - 1])) != 0))
      --digits;
    // "tp-1" and "tp1.5" keep their odd value, so that the message shows it.
    const std::size_t letters = item.find_first_of("0123456789+-.");
    if (letters != std::string_view::npos && letters < digits) digits = letters;
    key_ = item.substr(0, digits);
    value_ = item.substr(digits);
  }

  [[nodiscard]] std::string key() const { return std::string(key_); }

  [[nodiscard]] int number(int least = 1) const {
    int number = 0;
    const char* end = value_.data() + value_.size();
    const auto [last, status] = std::from_chars(value_.data(), end, number);
    constexpr int kMost = 100'000'000;
    const bool too_large = status == std::errc::result_out_of_range && value_.front() != '-';
    if (too_large || number > kMost) refuse(fmt::format("a whole number of at most {}", kMost));
    if (status != std::errc{} || last != end || number < least) {
      refuse(fmt::format("a whole number of at least {}", least));
    }
    return number;
  }

  template <typename Names>
  [[nodiscard]] auto choice(const Names& names) const {
    std::vector<std::string> known;
    for (const auto& [known_name, value] : names) {
      if (known_name == value_) return value;
      known.emplace_back(known_name);
    }
    refuse(fmt::format("one of {}", fmt::join(known, ", ")));
  }

  void bare() const {
    if (!value_.empty()) refuse("no value");
  }

  [[nodiscard]] std::string_view value() const { return value_; }

  [[noreturn]] void refuse(const std::string& expected) const {
    throw InputError(where_, fmt::format("{} for '{}'", expected, key_),
                     fmt::format("'{}'", value_));
  }

 private:
  std::string where_;
  std::string_view key_, value_;
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  std::size_t start = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at == text.size() || text[at] == separator) {
      out.push_back(text.substr(start, at - start));
      start = at + 1;
    }
  }
  return out;
}

std::array<Axis, 4> order_from(const KeyReader& item) {
  const auto names = split(item.value(), '-');
  std::array<Axis, 4> order{};
  std::size_t found = 0;
  for (const auto& [axis_name, axis] : kAxisNames) {
    const auto at = std::find(names.begin(), names.end(), axis_name);
    if (at != names.end()) {
      const auto position = static_cast<std::size_t>(at - names.begin());
      if (position < order.size()) order[position] = axis;
      ++found;
    }
  }
  if (names.size() != order.size() || found != order.size()) {
    item.refuse("a permutation of tp-cp-dp-pp");
  }
  return order;
}

std::vector<int> stages_from(const KeyReader& item, const std::string& where) {
  std::vector<int> stages;
  for (const std::string_view part : split(item.value(), '-')) {
    stages.push_back(KeyReader("stages=" + std::string(part), where).number(0));
  }
  return stages;
}

const std::vector<std::string>& known_keys() {
  static const std::vector<std::string> kKeys = {
      "tp",        "pp",   "dp",   "mbs",     "cp",      "ep",      "etp",   "vpp",      "sp",
      "recompute", "zero", "hsdp", "overlap", "cp_kind", "offload", "order", "schedule", "stages"};
  return kKeys;
}

}  // namespace

std::string_view name(Recompute value) { return name_in(kRecomputeNames, value); }
std::string_view name(Overlap value) { return name_in(kOverlapNames, value); }
std::string_view name(ContextKind value) { return name_in(kContextNames, value); }
std::string_view name(Offload value) { return name_in(kOffloadNames, value); }
std::string_view name(ScheduleKind value) { return name_in(kScheduleNames, value); }

std::string order_name(const std::array<Axis, 4>& order) {
  std::string out;
  for (const Axis axis : order) {
    if (!out.empty()) out += '-';
    out += name_in(kAxisNames, axis);
  }
  return out;
}

bool LayoutText::has(std::string_view key) const {
  return std::find(given.begin(), given.end(), key) != given.end();
}

Layout normalised(Layout layout) {
  if (layout.etp == layout.tp) layout.etp.reset();
  if (layout.vpp > 1 && layout.schedule == ScheduleKind::OneFOneB) {
    layout.schedule = ScheduleKind::Interleaved;
  }
  if (layout.vpp == 2 && layout.schedule == ScheduleKind::ZbV) layout.vpp = 1;
  if (layout.vpp == 1 && layout.schedule == ScheduleKind::Interleaved) {
    layout.schedule = ScheduleKind::OneFOneB;
  }
  if (layout.tp == 1) layout.sp = false;
  if (layout.cp == 1) layout.cp_kind = ContextKind::Ring;
  return layout;
}

std::string text(const Layout& layout, bool training) {
  const Layout defaults;
  std::string out = fmt::format("tp{},pp{},dp{}", layout.tp, layout.pp, layout.dp);
  if (training) out += fmt::format(",mbs{}", layout.mbs);
  if (layout.cp != 1) out += fmt::format(",cp{}", layout.cp);
  if (layout.ep != 1) out += fmt::format(",ep{}", layout.ep);
  if (layout.etp && *layout.etp != layout.tp) out += fmt::format(",etp{}", *layout.etp);
  if (layout.vpp != 1) out += fmt::format(",vpp{}", layout.vpp);
  if (layout.sp) out += ",sp";
  if (layout.recompute != defaults.recompute) {
    out += fmt::format(",recompute={}", name(layout.recompute));
  }
  if (layout.zero != 0) out += fmt::format(",zero{}", layout.zero);
  if (layout.hsdp != 1) out += fmt::format(",hsdp={}", layout.hsdp);
  if (layout.overlap != defaults.overlap) out += fmt::format(",overlap={}", name(layout.overlap));
  if (layout.cp_kind != defaults.cp_kind) out += fmt::format(",cp_kind={}", name(layout.cp_kind));
  if (layout.offload != defaults.offload) out += fmt::format(",offload={}", name(layout.offload));
  if (layout.order != defaults.order) out += fmt::format(",order={}", order_name(layout.order));
  const ScheduleKind usual = layout.vpp > 1 ? ScheduleKind::Interleaved : ScheduleKind::OneFOneB;
  if (layout.schedule != usual) out += fmt::format(",schedule={}", name(layout.schedule));
  if (!layout.stages.empty()) out += fmt::format(",stages={}", fmt::join(layout.stages, "-"));
  return out;
}

LayoutText read_layout_text(std::string_view whole, const std::string& where) {
  LayoutText out;
  Layout& layout = out.layout;
  if (whole.empty()) throw InputError(where, "a layout such as tp8,pp4,dp2,mbs1", "nothing");
  for (const std::string_view item : split(whole, ',')) {
    const KeyReader reader(item, where);
    const std::string key = reader.key();
    const auto& known = known_keys();
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw InputError(where, "a layout key",
                       fmt::format("'{}'{}", item.substr(0, 60), did_you_mean(key, known)));
    }
    if (out.has(key)) throw InputError(where, "each key once", fmt::format("'{}' twice", key));
    out.given.push_back(key);
    if (key == "tp") layout.tp = reader.number();
    if (key == "pp") layout.pp = reader.number();
    if (key == "dp") layout.dp = reader.number();
    if (key == "mbs") layout.mbs = reader.number();
    if (key == "cp") layout.cp = reader.number();
    if (key == "ep") layout.ep = reader.number();
    if (key == "etp") layout.etp = reader.number();
    if (key == "vpp") layout.vpp = reader.number();
    if (key == "hsdp") layout.hsdp = reader.number();
    if (key == "sp") {
      reader.bare();
      layout.sp = true;
    }
    if (key == "zero") {
      layout.zero = reader.number(0);
      if (layout.zero > 3) reader.refuse("a ZeRO stage from 0 to 3");
    }
    if (key == "recompute") layout.recompute = reader.choice(kRecomputeNames);
    if (key == "overlap") layout.overlap = reader.choice(kOverlapNames);
    if (key == "cp_kind") layout.cp_kind = reader.choice(kContextNames);
    if (key == "offload") layout.offload = reader.choice(kOffloadNames);
    if (key == "order") layout.order = order_from(reader);
    if (key == "schedule") layout.schedule = reader.choice(kScheduleNames);
    if (key == "stages") layout.stages = stages_from(reader, where);
  }
  if (layout.schedule == ScheduleKind::Interleaved && layout.vpp == 1) {
    throw InputError(where, "vpp of at least 2 with schedule=interleaved", "vpp1");
  }
  layout = normalised(layout);
  return out;
}

Layout layout_from_text(std::string_view whole, const std::string& where) {
  return read_layout_text(whole, where).layout;
}

}  // namespace meshplan::planner
