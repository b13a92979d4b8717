#!/usr/bin/env bash
# Is serving true? Predicts the layouts of serving_layouts.txt with a profile of this machine, serves
# them, and prints the table of docs/running.md. About a minute.
#
#   tests/validation/serving.sh PROFILE [MESHPLAN] [FOLDER]
#
# PROFILE = what `meshplan profile --out` wrote; MESHPLAN = the command (build/release/meshplan);
# FOLDER = where to leave plans and answers (a temporary one).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
if (($# == 0)); then
  echo "serving.sh: expected the folder of a profile, found nothing" >&2
  exit 2
fi
profile="$1"
meshplan="${2:-$here/../../build/release/meshplan}"
folder="${3:-$(mktemp -d)}"
mkdir -p "$folder"

number=0
grep -v '^#' "$here/serving_layouts.txt" | while read -r model mode layout; do
  number=$((number + 1))
  echo "$model $layout" >&2
  config="$model"
  if [[ -e "$here/$model.json" ]]; then config="$here/$model.json"; fi
  devices=4
  if [[ "$layout" == tp1,pp1,dp1 ]]; then devices=1; fi
  "$meshplan" predict --inference --model "$config" --cluster localhost \
    --set "devices_per_node=$devices" --dtype fp32 --engine embedded --prompt 100 --output 40 \
    --batch 4 --layout "$layout" --profiles "$profile" --out "$folder/plan.$number.json" >/dev/null
  "$meshplan" run "$folder/plan.$number.json" --profiles "$profile" --mode "$mode" --steps 6 \
    --no-check --json >"$folder/served.$number.json"
done
python3 "$here/serving_table.py" "$here/serving_layouts.txt" "$folder"
