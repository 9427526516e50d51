#!/usr/bin/env bash
# test.sh: sets up, builds and runs every test, first as released, then with AddressSanitizer and
# UndefinedBehaviorSanitizer (without the tests labelled slow). The first run is watched by Vulkan's
# validation layers, which under the sanitizers would take two thirds of the time. Exits 0 only if
# everything built and every test passed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

# One more than there are processors, as some tests wait for children, clocks and disks; each may open a device with
# threads of its own, so not many.
jobs=$(($(nproc) < 7 ? $(nproc) + 1 : 8))
passed=0 failed=0 skipped=0
lines=()

# The number that ctest's report gives its first element, <testsuite tests="12" failures="0" ...>.
count() { sed -n "s/^[[:space:]]*$2=\"\([0-9]*\)\".*/\1/p;/<testcase/q" < <(tr ' ' '\n' <"$1") | head -1; }

# The other drivers are fetched while the first build runs; what that had to say comes behind the build's words.
others=$(mktemp) fetching=
trap 'rm -f "$others"' EXIT
others_are_there() {
    [ -n "$fetching" ] || return 0
    wait "$fetching" || die 1 "the other drivers could not be set up: $(cat "$others")"
    fetching=
    cat "$others"
}

# run_tests PRESET: adds one line to the closing summary; a failing test does not stop the script.
run_tests() {
    local preset=$1 report=$root/build/$1/tests.xml start=$SECONDS all bad none
    build_preset "$preset"
    others_are_there
    rm -f "$report"
    ctest --preset "$preset" --parallel "$jobs" --output-junit "$report" || true
    [ -s "$report" ] || die 1 "ctest ran no test of the preset $preset"
    all=$(count "$report" tests) bad=$(count "$report" failures) none=$(count "$report" skipped)
    lines+=("$(printf '%-8s %4d passed %3d failed %3d skipped %5d s' "$preset" \
        $((all - bad - none)) "$bad" "$none" $((SECONDS - start)))")
    passed=$((passed + all - bad - none)) failed=$((failed + bad)) skipped=$((skipped + none))
}

scripts/setup.sh
scripts/other_drivers.sh >"$others" 2>&1 &
fetching=$!
for preset in release asan; do
    run_tests $preset
done
printf '\n'
printf '%s\n' "${lines[@]}"
printf '%-44s %5d s\n' "in all, with the set-up" $SECONDS
printf '%d passed, %d failed, %d skipped\n' $passed $failed $skipped
[ $failed -eq 0 ] && [ $passed -gt 0 ]
