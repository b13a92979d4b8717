#!/usr/bin/env bash
# Is it true? Measures this machine, predicts the layouts of layouts.txt, runs them, and prints the
# tables of docs/running.md: predicted beside measured, and how well a profile that was refitted to
# the other layouts predicts the one left out. A few minutes.
#
#   tests/validation/run.sh [MESHPLAN] [ROUNDS] [FOLDER]
#
# MESHPLAN = the command (build/release/meshplan); ROUNDS = runs of each layout, the median of which
# stands (3); FOLDER = where to leave profile, plans and measurements (a temporary one).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
meshplan="${1:-$here/../../build/release/meshplan}"
rounds="${2:-3}"
folder="${3:-$(mktemp -d)}"

load() { cut -d' ' -f1 /proc/loadavg; }
# The layouts, one a line, without comments.
layouts() { grep -v '^#' "$here/layouts.txt"; }

echo "load $(load) before" >&2
"$meshplan" profile --out "$folder/profile" --force | sed 's/^/    /' >&2

number=0
layouts | while read -r model batch _ layout; do
  number=$((number + 1))
  "$meshplan" predict --model "$here/$model.json" --cluster localhost --set devices_per_node=16 \
    --dtype fp32 --framework embedded --seq-len 256 --global-batch "$batch" --layout "$layout" \
    --profiles "$folder/profile" --out "$folder/plan.$number.json" >/dev/null
done
for round in $(seq "$rounds"); do
  number=0
  layouts | while read -r model _ mode layout; do
    number=$((number + 1))
    echo "round $round, load $(load): $model $layout" >&2
    steps=8
    if [[ "$mode" == replay ]]; then steps=4; fi
    "$meshplan" run "$folder/plan.$number.json" --profiles "$folder/profile" --mode "$mode" \
      --steps "$steps" --no-check --json --out "$folder/measurement.$number.$round.json" \
      >"$folder/run.$number.$round.json"
  done
done
echo "load $(load) after" >&2

python3 "$here/table.py" "$here/layouts.txt" "$folder" "$rounds"
echo
rm -rf "$folder/refitted"
"$meshplan" profile refit "$folder"/measurement.*.json --profile "$folder/profile" \
  --out "$folder/refitted"
