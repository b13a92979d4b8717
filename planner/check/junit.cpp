#include "planner/check/junit.h"

#include <fmt/format.h>

#include <algorithm>

namespace meshplan::planner {
namespace {

std::string shown(std::optional<double> value) {
  return value ? fmt::format("{:.6g}", *value) : "none";
}

/// Findings of one part of the suite; they stand together.
std::string part_xml(const std::vector<Finding>& findings, std::size_t first, std::size_t end) {
  std::string cases;
  int failures = 0;
  for (std::size_t i = first; i < end; ++i) {
    const Finding& finding = findings[i];
    cases += fmt::format("    <testcase classname=\"{}\" name=\"{}, {}\"",
                         xml_escaped(finding.suite_part), xml_escaped(finding.subject),
                         name(finding.figure));
    if (!finding.fails()) {
      cases += "/>\n";
      continue;
    }
    ++failures;
    cases += fmt::format(
        ">\n      <failure type=\"{}\" message=\"was {}, is {}{}{}\"/>\n    </testcase>\n",
        name(finding.verdict), shown(finding.was), shown(finding.is),
        finding.why.empty() ? "" : ": ", xml_escaped(finding.why));
  }
  return fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n{}  </testsuite>\n",
                     xml_escaped(findings[first].suite_part), end - first, failures, cases);
}

}  // namespace

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    // U+FFFE and U+FFFF are the only characters of UTF-8 above the controls that XML forbids.
    const std::string_view three = text.substr(i, 3);
    if (three == "\xEF\xBF\xBE" || three == "\xEF\xBF\xBF") {
      out += '?';
      i += 2;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\t' || c == '\n' || c == '\r') {
      out += fmt::format("&#{};", static_cast<int>(c));  // else a reader makes blanks of them
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += '?';
    } else {
      out += c;
    }
  }
  return out;
}

std::string junit_xml(const std::vector<Finding>& findings) {
  const auto failures = std::count_if(findings.begin(), findings.end(),
                                      [](const Finding& finding) { return finding.fails(); });
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  out += fmt::format("<testsuites name=\"meshplan check\" tests=\"{}\" failures=\"{}\">\n",
                     findings.size(), failures);
  for (std::size_t first = 0; first < findings.size();) {
    std::size_t end = first;
    while (end < findings.size() && findings[end].suite_part == findings[first].suite_part) ++end;
    out += part_xml(findings, first, end);
    first = end;
  }
  return out + "</testsuites>\n";
}

}  // namespace meshplan::planner
