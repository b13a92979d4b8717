#!/usr/bin/env bash
# On a machine with one GPU, from the folder that pack.sh made:
#
#   on_device.sh check      the tests with label gpu
#   on_device.sh profile    measures the device: tables, and the profile fitted to them
#   on_device.sh suite      runs plans.txt, predicted beside measured
#   on_device.sh compare    our step over that of PyTorch, where PyTorch is installed
#   on_device.sh            all of them in this order
#
# JSON and logs go to $OUT (./gpu-results): machine.json (date, device, driver, what was packed), and
# of each part PART.json (how it ended, how long it took) beside what it measured, also when it
# fails; a part that fails does not keep the next from running. Each part ends within 10 minutes:
# SUITE_SECONDS (340) ends the suite early, and says which plans were left. DTYPE (bf16) is that of
# the suite and the comparison. Never changes settings of the device. Ends with 1 if a part failed.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${OUT:-$PWD/gpu-results}
suite_seconds=${SUITE_SECONDS:-340}
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

# A text as a JSON string.
quoted() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//[$'\n\r\t']/ }"
}

# What was measured where, for the files that are kept.
machine() {
  local name driver
  name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
  printf '{\n "date": %s,\n "device": %s,\n "driver": %s,\n "packed": %s\n}\n' \
    "$(quoted "$(date -u +%Y-%m-%dT%H:%M:%SZ)")" "$(quoted "${name:-none seen}")" \
    "$(quoted "${driver:-none seen}")" "$(cat "$here/packed.json" 2>/dev/null || echo null)" \
    >"$out/machine.json"
}

# Runs a part, and writes how it ended: "failed" is what it added to the failures.
part() {
  local begin=$SECONDS before=$failed outcome="done"
  failed=0
  case $1 in
    check) check ;;
    profile) profile ;;
    suite) suite ;;
    compare) compare ;;
  esac
  if ((failed)); then outcome=failed; fi
  printf '{"part": "%s", "outcome": "%s", "seconds": %d, "remarks": %s}\n' "$1" "$outcome" \
    "$((SECONDS - begin))" "$(quoted "$remarks")" >"$out/$1.part.json"
  remarks=""
  failed=$((failed | before))
}

check() {
  local test
  for test in "$here"/bin/*_test; do
    note "$(basename "$test")"
    if ! timeout 280 "$test" --gtest_output="json:$out/$(basename "$test").json" \
      >"$out/$(basename "$test").log" 2>&1; then
      failed=1
      remarks="$remarks $(basename "$test") failed;"
      tail -n 20 "$out/$(basename "$test").log"
    elif grep -q '^\[  PASSED  \] 0 tests' "$out/$(basename "$test").log"; then
      # Where there is a GPU, a test that skips all of itself has not been run.
      failed=1
      remarks="$remarks $(basename "$test") skipped all: $(grep -m 1 -A 1 'Skipped$' \
        "$out/$(basename "$test").log" | tail -n 1);"
    fi
    grep -E '^\[  (PASSED|SKIPPED|FAILED)' "$out/$(basename "$test").log"
  done
}

profile() {
  note profile
  if ! timeout 540 "$meshplan" profile --backend cuda --force --out "$out/profile" \
    >"$out/profile.log" 2>&1; then
    failed=1
    remarks=$(tail -n 1 "$out/profile.log")
  fi
  tail -n 40 "$out/profile.log"
}

# The cluster of this kind of device that lends as many as the layout has ranks.
cluster_of() {
  local ranks=1 degree cluster=dgx-h200
  case $(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) in
    *H100*) cluster=dgx-h100 ;;
    *A100*) cluster=dgx-a100-80gb ;;
    *B200*) cluster=dgx-b200 ;;
  esac
  while read -r degree; do
    ranks=$((ranks * degree))
  done < <(grep -oE '(^|,)(tp|pp|dp)[0-9]+' <<<"$1" | grep -oE '[0-9]+')
  echo "$cluster:1/$ranks"
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
      remarks="$remarks $name: $(tail -n 1 "$out/suite/$name.log");"
      tail -n 2 "$out/suite/$name.log"
    fi
  done <"$here/plans.txt"
  if [[ -n $left ]]; then
    remarks="$remarks left for want of time:$left"
    note "left for want of time:$left"
  fi
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
    except ValueError:  # it failed before it could answer: the log says why
        with open(path[: -len(".json")] + ".log") as log:
            rows.append({"name": name, "failed": True, "why": log.read().strip()[-400:]})
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
    remarks="no PyTorch that sees the device; left out"
    note "compare: $remarks"
    return
  fi
  note compare
  if ! timeout 540 python3 "$here/compare_pytorch.py" --meshplan "$meshplan" \
    --models "$here/models" --dtype "${DTYPE:-bf16}" --out "$out/compare_pytorch.json" \
    >"$out/compare.log" 2>&1; then
    failed=1
    remarks=$(tail -n 1 "$out/compare.log")
  fi
  tail -n 20 "$out/compare.log"
}

remarks=""
machine
state | tee "$out/device-before.csv"
case ${1:-all} in
  check | profile | suite | compare) part "$1" ;;
  all)
    for each in check profile suite compare; do part "$each"; done
    ;;
  *)
    echo "usage: on_device.sh [check|profile|suite|compare]" >&2
    exit 2
    ;;
esac
state | tee "$out/device-after.csv"
exit "$failed"
