#pragma once
#include <string>
#include <vector>

#include "planner/check/compare.h"

namespace meshplan::planner {

/// The findings as JUnit XML, the form of results that CI services show: a test suite for the
/// questions and for each set of recorded runs, a test case a finding, a failure for each that
/// fails the gate. Text is escaped; what XML 1.0 cannot hold becomes '?'. Source of the form: the
/// schema of Apache Ant's junitreport task.
std::string junit_xml(const std::vector<Finding>& findings);

/// `text` as it may stand in an attribute between double quotes.
std::string xml_escaped(std::string_view text);

}  // namespace meshplan::planner
