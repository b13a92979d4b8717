#pragma once
#include <string>
#include <vector>

#include "cli/terminal.h"

namespace meshplan::cli {

/// Rows of text in aligned columns, two spaces apart. Figures are right-aligned, words
/// left-aligned: the header's column decides.
class Table {
 public:
  enum class Align { Left, Right };
  struct Column {
    std::string title;
    Align align = Align::Right;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// One cell a column; missing ones are empty. `style` colours the whole row.
  void add(std::vector<std::string> cells, Style style = Style::Plain);
  /// The table with its header, each line ended.
  [[nodiscard]] std::string text(std::string_view indent = "") const;

 private:
  struct Row {
    std::vector<std::string> cells;
    Style style;
  };
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace meshplan::cli
