#pragma once

namespace meshplan::kernels::cuda {

/// Where a call stands in the sources: std::source_location, which clang has from version 16 on.
struct CallSite {
  const char* file;
  int line;
  static constexpr CallSite current(const char* file = __builtin_FILE(),
                                    int line = __builtin_LINE()) {
    return {file, line};
  }
};

}  // namespace meshplan::kernels::cuda
