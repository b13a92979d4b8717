// Every operation of the cpu against plain loops, for every instruction set of the machine, on the
// cases that all back ends share.
#include "tests/kernels/compare.h"
#include "tests/kernels/operation_cases.h"

namespace meshplan::kernels::testing {
namespace {

void expect_on_cpu(const std::string& what, const Build& build) {
  expect_like_reference(what, build);
}

class CpuOperation : public ::testing::TestWithParam<CaseTable> {};

TEST_P(CpuOperation, AgreesWithTheReference) { GetParam().visit(expect_on_cpu); }

INSTANTIATE_TEST_SUITE_P(All, CpuOperation, ::testing::ValuesIn(operation_cases()),
                         [](const auto& table) { return std::string(table.param.operation); });

class CpuAttention : public ::testing::TestWithParam<AttentionCaseTable> {};

TEST_P(CpuAttention, AgreesWithTheReference) { GetParam().visit(expect_on_cpu, 0.0); }

INSTANTIATE_TEST_SUITE_P(All, CpuAttention, ::testing::ValuesIn(attention_cases()),
                         [](const auto& table) { return std::string(table.param.operation); });

}  // namespace
}  // namespace meshplan::kernels::testing
