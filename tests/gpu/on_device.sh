#!/usr/bin/env bash
# On a machine with one GPU, from the folder that pack.sh made:
#
#   on_device.sh check      the tests with label gpu
#   on_device.sh profile    measures the device: tables, and the profile fitted to them
#   on_device.sh suite      runs plans.txt, predicted beside measured
#   on_device.sh compare    our step over that of PyTorch, where PyTorch is installed
#   on_device.sh            all of them in this order
#
# JSON and logs go to $OUT (./gpu-results). Each part ends well within 10 minutes; SUITE_SECONDS
# (420) ends the suite early, and says which plans were left; DTYPE (bf16) is that of the suite and
# the comparison. Never changes settings of the device.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$PWD/gpu-results}
suite_seconds=${SUITE_SECONDS:-420}
readonly here out suite_seconds
mkdir -p "$out"

# CUDA's own folder, and where Python wheels keep the libraries.
libraries=$here/lib:/usr/local/cuda/lib64
if wheels=$(python3 -c 'import nvidia, os; print(list(nvidia.__path__)[0])' 2>/dev/null); then
  for folder in "$wheels"/*/lib; do libraries=$libraries:$folder; done
fi
export LD_LIBRARY_PATH=$libraries:${LD_LIBRARY_PATH:-}
export MESHPLAN_PLUGINS=$here/bin
readonly meshplan=$here/bin/meshplan
failed=0

note() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }

state() {
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu \
    --format=csv 2>/dev/null || echo "no nvidia-smi"
}

check() {
  local test
  for test in "$here"/bin/*_test; do
    note "$(basename "$test")"
    if ! timeout 300 "$test" --gtest_output="json:$out/$(basename "$test").json" \
      >"$out/$(basename "$test").log" 2>&1; then
      failed=1
      tail -n 20 "$out/$(basename "$test").log"
    fi
    grep -E '^\[  (PASSED|SKIPPED|FAILED)' "$out/$(basename "$test").log"
  done
}

profile() {
  note profile
  timeout 420 "$meshplan" profile --backend cuda --force --out "$out/profile" || failed=1
}

# The cluster that lends as many devices as the layout has ranks.
cluster_of() {
  local ranks=1 degree
  while read -r degree; do
    ranks=$((ranks * degree))
  done < <(grep -oE '(^|,)(tp|pp|dp)[0-9]+' <<<"$1" | grep -oE '[0-9]+')
  echo "dgx-h200:1/$ranks"
}

suite() {
  local begin=$SECONDS name config layout seq batch mode left="" profiles=()
  if [[ -d $out/profile/profiles ]]; then profiles=(--profiles "$out/profile"); fi
  mkdir -p "$out/suite"
  while read -r name config layout seq batch mode; do
    case $name in '' | '#'*) continue ;; esac
    if ((SECONDS - begin > suite_seconds)); then
      left="$left $name"
      continue
    fi
    note "$name: $layout, $mode"
    # `predict` of what does not fit the preset ends with 1 and still writes the plan.
    timeout 60 "$meshplan" predict --model "$here/models/$config.json" \
      --cluster "$(cluster_of "$layout")" --layout "$layout" --seq-len "$seq" \
      --global-batch "$batch" --dtype "${DTYPE:-bf16}" --framework embedded "${profiles[@]}" \
      --out "$out/suite/$name.plan.json" >"$out/suite/$name.predict.log" 2>&1
    if ! timeout 150 "$meshplan" run "$out/suite/$name.plan.json" --backend cuda --mode "$mode" \
      --json --timeout 100 "${profiles[@]}" --out "$out/suite/$name.measurement.json" \
      >"$out/suite/$name.json" 2>"$out/suite/$name.log"; then
      failed=1
      tail -n 2 "$out/suite/$name.log"
    fi
  done <"$here/plans.txt"
  if [[ -n $left ]]; then note "left for want of time:$left"; fi
  python3 - "$out/suite" >"$out/suite.json" <<'PYTHON'
import glob, json, os, sys

rows = []
for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.json"))):
    name = os.path.basename(path)[: -len(".json")]
    if name.endswith((".plan", ".measurement")):
        continue
    try:
        with open(path) as file:
            run = json.load(file)
    except ValueError:
        rows.append({"name": name, "failed": True})
        continue
    rows.append({"name": name, "layout": run["layout"], "mode": run["mode"],
                 "predicted_step_seconds": run["predicted"]["step_seconds"],
                 "measured_step_seconds": run["measured"]["step_seconds"],
                 "error": run["error"], "predicted": run["predicted"]["time"],
                 "measured": run["measured"]["time"]})
    print(f'{name:22} {run["mode"]:12} {rows[-1]["error"]:+8.1%}', file=sys.stderr)
json.dump(rows, sys.stdout, indent=1)
PYTHON
}

compare() {
  if ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    note "compare: no PyTorch that sees the device; left out"
    return
  fi
  note compare
  timeout 500 python3 "$here/compare_pytorch.py" --meshplan "$meshplan" --models "$here/models" \
    --dtype "${DTYPE:-bf16}" --out "$out/compare_pytorch.json" || failed=1
}

state | tee "$out/device-before.csv"
case ${1:-all} in
  check | profile | suite | compare) "$1" ;;
  all)
    check
    profile
    suite
    compare
    ;;
  *)
    echo "usage: on_device.sh [check|profile|suite|compare]" >&2
    exit 2
    ;;
esac
state | tee "$out/device-after.csv"
exit "$failed"
