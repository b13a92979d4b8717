#!/usr/bin/env bash
# Writes what the commands print today into tests/golden/*.txt and the examples of README.md and
# docs/, and what the suite of tests/check gives. Review the diff before committing it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
preset="${1:-release}"
cmake --preset "$preset" --log-level=WARNING
cmake --build --preset "$preset" --parallel "$(nproc)" --target golden_test
"build/$preset/meshplan" check tests/check/suite.json --baseline tests/check/baseline.json --update
MESHPLAN_REFRESH=1 "build/$preset/tests/cli/golden_test"
git --no-pager diff --stat -- tests/golden tests/check README.md docs
