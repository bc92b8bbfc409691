#!/bin/sh
# Prints how many lines of each reader its fuzz target reaches: tests/fuzz/coverage.sh [TARGET...]
#
# Builds into build/fuzz-coverage (clang 19), runs each target ROUNDS times (default 20000) from its seeds, and prints the
# line coverage of the .cc files named after the target, wherever in src/ they are. SHOW=1 lists the lines not reached.
set -eu
cd "$(dirname "$0")/../.."
build=build/fuzz-coverage
rounds=${ROUNDS:-20000}

for tool in clang++-19 llvm-profdata-19 llvm-cov-19; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install clang-19 llvm-19 libclang-rt-19-dev" >&2; exit 1; }
done

[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls ./*_fuzz.cc | sed 's|^\./||; s|_fuzz\.cc$||')
cmake --preset fuzz -B "$build" -DBATON_FUZZ_COVERAGE=ON >/dev/null
ninja -C "$build" $(for target; do echo "${target}_fuzz"; done) >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dictionary_of() { [ ! -f "tests/fuzz/$1.dict" ] || echo "-dict=tests/fuzz/$1.dict"; }
for target; do
  mkdir "$work/$target"
  LLVM_PROFILE_FILE="$work/$target.raw" "$build/tests/fuzz/${target}_fuzz" -runs="$rounds" -seed=1 -verbosity=0 \
    $(dictionary_of "$target") $(dictionary_of proc) "$work/$target" "tests/fuzz/corpus/$target" >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
  llvm-profdata-19 merge -sparse "$work/$target.raw" -o "$work/$target.data"
  find src -name "$target.cc" | while read -r source; do
    set -- "$build/tests/fuzz/${target}_fuzz" -instr-profile="$work/$target.data" "$source"
    { llvm-cov-19 export -summary-only "$@" && echo; } |
      sed -n 's|.*"totals":.*"lines":{"count":\([0-9]*\),"covered":\([0-9]*\),"percent":\([0-9.]*\)}.*|\3 \2 \1|p' |
      while read -r percent covered lines; do
        printf '%-16s %5.1f %% of lines (%s of %s)  %s\n' "$target" "$percent" "$covered" "$lines" "$source"
      done
    [ -z "${SHOW:-}" ] || llvm-cov-19 show "$@" | grep -E '^ *[0-9]+\| +0\|' || true
  done
done
