#include "planner/fit/tables.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "profiles/csv.h"
#include "profiles/input_error.h"
#include "profiles/sha256.h"

namespace meshplan::planner {
namespace {

using profiles::CsvTable;

constexpr std::int64_t kMostSize = std::int64_t{1} << 40;
constexpr std::int64_t kMostCount = 1 << 24;

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw profiles::InputError(path, "a table to fit", "no readable file");
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

profiles::DataType read_type(const CsvTable& table, std::size_t row, CsvTable::Column column) {
  const auto type = profiles::data_type_from(table.text(row, column));
  if (!type) table.refuse(row, column, "bf16, fp16, fp8, fp4, tf32 or fp32");
  return *type;
}

void read_gemm(const std::string& text, const std::string& name, Tables& out) {
  const CsvTable table = CsvTable::parse(text, name, {"dtype", "m", "n", "k", "seconds"});
  const auto type = table.column("dtype"), m = table.column("m"), n = table.column("n"),
             k = table.column("k"), seconds = table.column("seconds");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    out.gemm.push_back({{table.integer(row, m, 1, kMostSize), table.integer(row, n, 1, kMostSize),
                         table.integer(row, k, 1, kMostSize), 1},
                        read_type(table, row, type),
                        table.positive_number(row, seconds)});
  }
  out.sources.push_back({name, profiles::sha256(text), static_cast<int>(table.rows())});
}

void read_attention(const std::string& text, const std::string& name, Tables& out) {
  const CsvTable table = CsvTable::parse(text, name,
                                         {"phase", "batch", "query_len", "kv_len", "heads",
                                          "kv_heads", "head_dim", "dtype", "seconds"});
  const auto phase = table.column("phase"), batch = table.column("batch"),
             query_len = table.column("query_len"), kv_len = table.column("kv_len"),
             heads = table.column("heads"), kv_heads = table.column("kv_heads"),
             head_dim = table.column("head_dim"), type = table.column("dtype"),
             seconds = table.column("seconds");
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string_view kind = table.text(row, phase);
    if (kind != "prefill" && kind != "decode") table.refuse(row, phase, "prefill or decode");
    AttentionShape s;
    s.batch = table.integer(row, batch, 1, kMostCount);
    s.query_len = table.integer(row, query_len, 1, kMostSize);
    s.kv_len = table.integer(row, kv_len, s.query_len, kMostSize);
    s.heads = static_cast<int>(table.integer(row, heads, 1, kMostCount));
    s.kv_heads = static_cast<int>(table.integer(row, kv_heads, 1, s.heads));
    s.head_dim = static_cast<int>(table.integer(row, head_dim, 1, kMostCount));
    s.value_head_dim = s.head_dim;
    if (kind == "decode" && s.query_len != 1) table.refuse(row, query_len, "1 in a decode row");
    out.attention.push_back({s, read_type(table, row, type), table.positive_number(row, seconds)});
  }
  out.sources.push_back({name, profiles::sha256(text), static_cast<int>(table.rows())});
}

}  // namespace

Tables read_tables(const std::vector<std::string>& paths) {
  Tables out;
  for (const std::string& path : paths) {
    const std::string text = file_text(path);
    const std::string name = std::filesystem::path(path).filename().string();
    if (CsvTable::parse(text, name, {}).has("phase")) {
      read_attention(text, name, out);
    } else {
      read_gemm(text, name, out);
    }
  }
  return out;
}

}  // namespace meshplan::planner
