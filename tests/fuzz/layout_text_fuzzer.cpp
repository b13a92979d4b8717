// Texts of layouts: parse(print(x)) == x.
#include "planner/layout/layout_text.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    const planner::LayoutText read =
        planner::read_layout_text(fuzz::as_text(data, size), "--layout");
    const planner::Layout layout = planner::normalised(read.layout);
    try {
      fuzz::require(planner::layout_from_text(planner::text(layout)) == layout,
                    "a layout reads back as it was printed");
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a layout that was printed is accepted");
    }
  });
}
