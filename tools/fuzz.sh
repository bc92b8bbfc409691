#!/usr/bin/env bash
# Runs every libFuzzer target for some seconds from its seeds: tools/fuzz.sh SECONDS. Stops at the first finding, which
# stays in build/fuzz/findings; what was learnt stays in build/fuzz/corpus for the next time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=$1
build=build/fuzz

cmake --preset fuzz >/dev/null
ninja -C "$build" -j "${BATON_JOBS:-$(nproc)}" --quiet fuzz
mkdir -p "$build/findings"
for binary in "$build"/tests/fuzz/*_fuzz; do
  target=$(basename "$binary" _fuzz)
  mkdir -p "$build/corpus/$target"
  dictionary=tests/fuzz/$target.dict
  [ -f "$dictionary" ] || dictionary=tests/fuzz/proc.dict
  echo "fuzz $target, $seconds s"
  "$binary" -max_total_time="$seconds" -verbosity=0 -print_final_stats=1 -dict="$dictionary" \
    -artifact_prefix="$build/findings/$target-" "$build/corpus/$target" "tests/fuzz/corpus/$target" 2>&1 |
    tee "$build/findings/$target.log" | grep -E 'ERROR|SUMMARY|number_of_executed_units' || true
  grep -q number_of_executed_units "$build/findings/$target.log"
  ! grep -q 'ERROR: ' "$build/findings/$target.log"
done
