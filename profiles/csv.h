#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace meshplan::profiles {

/// A table read from a CSV file: one header line, then rows of as many fields. Comma separated;
/// fields may be quoted ("" is a quote inside quotes); CRLF, a byte order mark and empty lines are
/// accepted. Columns nobody asks for are ignored, missing required ones refused. Every refusal
/// names file and line.
class CsvTable {
 public:
  /// Place of a column: look it up once, outside the loop over rows.
  struct Column {
    std::size_t index;
  };

  static CsvTable read_file(const std::string& path,
                            std::initializer_list<std::string_view> required);
  /// `source` is how messages name the table.
  static CsvTable parse(std::string_view text, const std::string& source,
                        std::initializer_list<std::string_view> required);

  /// Rows below the header.
  [[nodiscard]] std::size_t rows() const { return lines_.size(); }
  [[nodiscard]] bool has(std::string_view column) const;
  /// Refuses a column that the header does not name.
  [[nodiscard]] Column column(std::string_view name) const;

  [[nodiscard]] std::string_view text(std::size_t row, Column column) const;
  /// A finite number.
  [[nodiscard]] double number(std::size_t row, Column column) const;
  /// A finite number > 0.
  [[nodiscard]] double positive_number(std::size_t row, Column column) const;
  /// A whole number within [least, most].
  [[nodiscard]] std::int64_t integer(
      std::size_t row, Column column, std::int64_t least = std::numeric_limits<std::int64_t>::min(),
      std::int64_t most = std::numeric_limits<std::int64_t>::max()) const;

  /// The same by name, for code that reads few rows.
  [[nodiscard]] std::string_view text(std::size_t row, std::string_view name) const {
    return text(row, column(name));
  }
  [[nodiscard]] double number(std::size_t row, std::string_view name) const {
    return number(row, column(name));
  }
  [[nodiscard]] double positive_number(std::size_t row, std::string_view name) const {
    return positive_number(row, column(name));
  }
  [[nodiscard]] std::int64_t integer(
      std::size_t row, std::string_view name,
      std::int64_t least = std::numeric_limits<std::int64_t>::min(),
      std::int64_t most = std::numeric_limits<std::int64_t>::max()) const {
    return integer(row, column(name), least, most);
  }

  /// "table.csv:12"
  [[nodiscard]] std::string where(std::size_t row) const;
  /// Throws InputError at this field.
  [[noreturn]] void refuse(std::size_t row, Column column, const std::string& expected) const;

 private:
  struct Field {
    std::size_t begin, size;  ///< in text_
  };

  std::string source_;
  std::string text_;  ///< all fields, unquoted, one after the other
  std::vector<std::string> header_;
  std::vector<Field> fields_;       ///< row by row
  std::vector<std::size_t> lines_;  ///< line of the file on which each row starts
};

}  // namespace meshplan::profiles
