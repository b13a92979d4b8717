#include "profiles/product_names.h"

#include <algorithm>
#include <array>

namespace meshplan::profiles {
namespace {

/// Words that occur in a product's name, whole; the first line whose words all do stands.
struct Product {
  std::array<const char*, 2> words;
  const char* id;  ///< null: no preset describes it
};
constexpr Product kProducts[] = {{{"GH200", "144G"}, nullptr},
                                 {{"GH200"}, "gh200-96gb"},
                                 {{"GB300"}, "gb300-288gb"},
                                 {{"GB200"}, "gb200-186gb"},
                                 {{"H200", "NVL"}, nullptr},
                                 {{"H200"}, "h200-sxm-141gb"},
                                 {{"H100", "PCIe"}, "h100-pcie-80gb"},
                                 {{"H100", "NVL"}, nullptr},
                                 {{"H100", "80GB"}, "h100-sxm-80gb"},
                                 {{"H100", "96GB"}, "h100-hbm2e-96gb"},
                                 {{"B300"}, "b300-sxm-288gb"},
                                 {{"B200"}, "b200-sxm-180gb"},
                                 {{"A100-PCIE-40GB"}, nullptr},
                                 {{"A100", "PCIe"}, "a100-pcie-80gb"},
                                 {{"A100", "40GB"}, "a100-sxm-40gb"},
                                 {{"A100", "80GB"}, "a100-sxm-80gb"},
                                 {{"L40S"}, "l40s-48gb"},
                                 {{"A40"}, "a40-48gb"},
                                 {{"L4"}, "l4-24gb"},
                                 {{"V100-SXM2-16GB"}, "v100-sxm2-16gb"},
                                 {{"RTX PRO 6000"}, "rtx-pro-6000-96gb"}};

bool is_word_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/// "A40" is a word of "NVIDIA A40" and not of "NVIDIA A400".
bool has_word(const std::string& name, const std::string& word) {
  for (std::size_t at = name.find(word); at != std::string::npos; at = name.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool begins = at == 0 || !is_word_character(name[at - 1]);
    if (begins && (end == name.size() || !is_word_character(name[end]))) return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> device_of_product(const std::string& name) {
  for (const Product& product : kProducts) {
    const bool all = std::all_of(product.words.begin(), product.words.end(), [&](const char* word) {
      return word == nullptr || has_word(name, word);
    });
    if (all) {
      return product.id == nullptr ? std::nullopt : std::optional<std::string>(product.id);
    }
  }
  return std::nullopt;
}

}  // namespace meshplan::profiles
