#!/usr/bin/env bash
# test_packed.sh BAD_PLUGINS VITRO...: a study whose workers train packs of trials comes to the store of one that trains each
# by itself, also where methods crash or diverge, and where it is stopped and goes on.
set -euo pipefail
bad=$(realpath "$1")
shift
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/study_tools.sh"
cd "$folder"

recipe study '"builtin:textures:48/16/64"' '"linear", "crash", "lora[r=2]", "diverge"' 2 0 >study.json
run=(study run study.json --final -j 1 --plugin-path "$bad")
expect 0 "2 refits and 2 test evaluations are there" "${run[@]}" -S alone --packed 1
expect 0 "2 refits and 2 test evaluations are there" "${run[@]}" -S packed --packed 8
[[ $said == *"packed trials"*"came to no end: it crashed"*"each is tried alone"* ]] ||
    complain "it does not tell that a pack crashed: $said"
[[ $said == *"2 diverged, 2 failed"* ]] || complain "not 2 diverged and 2 failed: $said"
check_store packed
compare_stores alone packed

# Stopped, and gone on with other packs.
recipe study '"builtin:textures:48/16/64"' '"linear", "lora[r=2]"' 2 0 >study.json
sed -i 's/"epochs": 1/"epochs": 8/' study.json
run=(study run study.json --final -j 1)
expect 0 "2 refits and 2 test evaluations are there" "${run[@]}" -S alone2 --packed 1
"${vitro[@]}" "${run[@]}" -S packed2 --packed 6 >out 2>&1 </dev/null &
pid=$!
for _ in $(seq 600); do # until some trial has kept a checkpoint
    [ -z "$(find packed2 -name checkpoint 2>/dev/null)" ] || break
    sleep 0.1
done
kill -TERM "$pid"
wait "$pid" && complain "it was not stopped: $(cat out)"
expect 0 "2 refits and 2 test evaluations are there" "${run[@]}" -S packed2 --packed 2
check_store packed2
compare_stores alone2 packed2
grep -lq '"packed": 2' packed2/results/*/*/run.json || complain "no trial was packed"
! grep -lq '"packed"' alone2/results/*/*/run.json || complain "a trial was packed that was to be alone"

expect 2 "auto or a whole number from 1 to 16" study run study.json -S packed2 --packed many
exit "$failed"
