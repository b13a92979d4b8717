#include "profiles/csv.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::profiles {
namespace {

constexpr std::uintmax_t kLargestFile = std::uintmax_t{512} << 20;
constexpr std::size_t kLongestShown = 60;

std::string at_line(const std::string& source, std::size_t line) {
  return source + ":" + std::to_string(line);
}

std::string shown(std::string_view text) {
  if (text.size() <= kLongestShown) return "'" + std::string(text) + "'";
  return "'" + std::string(text.substr(0, kLongestShown)) + "...'";
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Walks over the records of a text.
class Records {
 public:
  Records(std::string_view text, const std::string& source) : text_(text), source_(source) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  /// Moves to the next record that is not an empty line; false at the end.
  bool next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r')) {
      if (text_[at_++] == '\n') ++line_;
    }
    record_line_ = line_;
    return at_ < text_.size();
  }

  /// Appends the fields of this record to `out`; calls `field(begin, size)` for each.
  template <typename OnField>
  void read(std::string& out, OnField field) {
    for (;;) {
      const std::size_t begin = out.size();
      if (at_ < text_.size() && text_[at_] == '"') {
        read_quoted(out);
      } else {
        std::size_t end = text_.find_first_of(",\n", at_);
        if (end == std::string_view::npos) end = text_.size();
        std::string_view plain = text_.substr(at_, end - at_);
        if (plain.ends_with('\r')) plain.remove_suffix(1);
        out += trimmed(plain);
        at_ = end;
      }
      field(begin, out.size() - begin);
      if (at_ < text_.size() && text_[at_] == '\r') ++at_;
      if (at_ >= text_.size()) return;
      const char separator = text_[at_++];
      if (separator == ',') continue;
      if (separator == '\n') {
        ++line_;
        return;
      }
      throw InputError(at_line(source_, line_), "a comma after the closing quote",
                       shown(std::string_view(&separator, 1)));
    }
  }

  [[nodiscard]] std::size_t line() const { return record_line_; }

 private:
  void read_quoted(std::string& out) {
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') {
          ++at_;
          return;
        }
        ++at_;
      }
      if (text_[at_] == '\n') ++line_;
      out += text_[at_];
    }
    throw InputError(at_line(source_, record_line_), "a closing quote", "the end of the file");
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::size_t record_line_ = 1;
};

}  // namespace

CsvTable CsvTable::parse(std::string_view text, const std::string& source,
                         std::initializer_list<std::string_view> required) {
  CsvTable table;
  table.source_ = source;
  Records records(text, source);
  if (!records.next()) throw InputError(source, "a header line", "an empty file");
  std::string names;
  records.read(names, [&](std::size_t begin, std::size_t size) {
    const std::string name = names.substr(begin, size);
    if (table.has(name)) {
      throw InputError(at_line(source, records.line()), "each column once", shown(name) + " twice");
    }
    table.header_.push_back(name);
  });
  for (const std::string_view name : required) (void)table.column(name);

  table.text_.reserve(text.size());
  while (records.next()) {
    const std::size_t before = table.fields_.size();
    records.read(table.text_, [&](std::size_t begin, std::size_t size) {
      table.fields_.push_back({begin, size});
    });
    const std::size_t found = table.fields_.size() - before;
    if (found != table.header_.size()) {
      throw InputError(at_line(source, records.line()),
                       std::to_string(table.header_.size()) + " fields", std::to_string(found));
    }
    table.lines_.push_back(records.line());
  }
  return table;
}

CsvTable CsvTable::read_file(const std::string& path,
                             std::initializer_list<std::string_view> required) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw InputError(path, "a file", "a directory");
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kLargestFile) {
    throw InputError(path, "a CSV file of at most 512 MiB", std::to_string(size >> 20) + " MiB");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path, "a readable file", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return parse(text.view(), path, required);
}

bool CsvTable::has(std::string_view column) const {
  return std::find(header_.begin(), header_.end(), column) != header_.end();
}

CsvTable::Column CsvTable::column(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found == header_.end()) {
    throw InputError(source_, "a column " + shown(name), "none" + did_you_mean(name, header_));
  }
  return {static_cast<std::size_t>(found - header_.begin())};
}

std::string_view CsvTable::text(std::size_t row, Column column) const {
  const Field& field = fields_[row * header_.size() + column.index];
  return std::string_view(text_).substr(field.begin, field.size);
}

double CsvTable::number(std::size_t row, Column column) const {
  const std::string_view field = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size() || !std::isfinite(value)) {
    refuse(row, column, "a finite number");
  }
  return value;
}

double CsvTable::positive_number(std::size_t row, Column column) const {
  const double value = number(row, column);
  if (value <= 0) refuse(row, column, "a number > 0");
  return value;
}

std::int64_t CsvTable::integer(std::size_t row, Column column, std::int64_t least,
                               std::int64_t most) const {
  const std::string_view field = text(row, column);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) {
    refuse(row, column, "a whole number");
  }
  if (value < least) refuse(row, column, "a whole number of at least " + std::to_string(least));
  if (value > most) refuse(row, column, "a whole number of at most " + std::to_string(most));
  return value;
}

std::string CsvTable::where(std::size_t row) const { return at_line(source_, lines_[row]); }

void CsvTable::refuse(std::size_t row, Column column, const std::string& expected) const {
  throw InputError(where(row) + ", column " + shown(header_[column.index]), expected,
                   shown(text(row, column)));
}

}  // namespace meshplan::profiles
