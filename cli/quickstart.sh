#!/usr/bin/env bash
# From a checkout to an answer: packages, build, and the best layouts of Llama 3 70B on 128 H100s.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

"$root/tests/install.sh"
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_NOHASHDIR=1
fi
(
  cd "$root"
  cmake --preset release --log-level=WARNING
  cmake --build --preset release --parallel "$(nproc)" --target meshplan
) >&2

ask=(plan --model llama-3-70b --cluster dgx-h100:16 --seq-len 8192 --global-batch 512)
echo "$ meshplan ${ask[*]}"
"$root/build/release/meshplan" "${ask[@]}"

# And on this machine: measure it, plan for its cores, run the plan, compare.
meshplan="$root/build/release/meshplan"
here="$(mktemp -d)"
trap 'rm -rf "$here"' EXIT
show() {
  printf '\n$ meshplan %s\n' "${*//"$here"/.}"
  "$meshplan" "$@"
}
show profile --brief --out "$here"
show plan --model gpt2 --cluster localhost --dtype fp32 --framework embedded \
  --seq-len 64 --global-batch 4 --top 3 --profiles "$here" --out "$here/plan.json"
show run "$here/plan.json" --steps 3 --profiles "$here"
