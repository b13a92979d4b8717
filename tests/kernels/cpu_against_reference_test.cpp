// Every operation of the cpu against plain loops, for every instruction set of the machine, on the
// cases that all back ends share.
#include <cmath>

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

TEST(CpuActivation, SaturatesFarFromZero) {
  // f(100) = 100 and f(-100) = 0 for each of these, to fp32.
  for (const Activation kind : {Activation::Gelu, Activation::GeluTanh, Activation::Silu}) {
    std::vector<float> x = {100.0F, -100.0F, 1e30F, -1e4F}, y(4);
    cpu::Queue queue;
    cpu::run(ActivationForward{kind, vector_view(x.data(), 2), vector_view(y.data(), 2)}, queue);
    EXPECT_FLOAT_EQ(y[0], 100.0F);
    EXPECT_NEAR(y[1], 0.0F, 1e-30F);
  }
}

}  // namespace
}  // namespace meshplan::kernels::testing
