#!/usr/bin/env bash
# torture.sh short|full SEED BAD_PLUGINS VITRO...: a study under kill -9 of its workers (-15 too) and of itself and under
# Ctrl-C, begun again until it is done, comes to the same store as one that nobody disturbed. VITRO...: the program, and
# before it what starts it.
set -euo pipefail
size=$1 seed=$2 bad=$(realpath "$3")
shift 3
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/study_tools.sh"
cd "$folder"

options=(--final -j 2)
case $size in
short)
    recipe torture '"builtin:textures:48/16/64"' '"linear", "bitfit", "lora[r=4]"' 3 '0, 1' >recipe.json
    disturbances=12
    ;;
full)
    recipe torture '"builtin:textures:48/16/64", "builtin:count:48/16/64"' \
        '"linear", "bitfit", "lora[r=4]", "ssf", "vpt[prompts=5]", "adaptformer", "crash", "hang", "hungry", "diverge",
         "leave_0", "leave_1", "leave_7", "peek", "refuse"' \
        4 '0, 1' '"limits": {"stall_seconds": 15, "memory_mib": 1000}' >recipe.json
    options+=(--plugin-path "$bad")
    disturbances=120
    ;;
*)
    echo "torture.sh: \"$size\" is neither short nor full" >&2
    exit 2
    ;;
esac

begun=$SECONDS
"${vitro[@]}" study run recipe.json -S quiet "${options[@]}" >quiet.log 2>&1 || {
    echo "FAILED: the undisturbed study ended with $?:"
    cat quiet.log
    exit 1
}
quiet_seconds=$((SECONDS - begun))
check_store quiet

RANDOM=$seed
workers_killed=0 drivers_killed=0 interrupts=0 starts=0 driver=0
begun=$SECONDS

start() {
    "${vitro[@]}" study run recipe.json -S tortured "${options[@]}" >>tortured.log 2>&1 &
    driver=$!
    starts=$((starts + 1))
}

# Before the study itself runs, what starts it has children of its own: those are none of ours.
kill_worker() {
    local child children=() workers=()
    read -r -a children <"/proc/$driver/task/$driver/children" || true
    for child in "${children[@]}"; do
        if tr '\0' ' ' <"/proc/$child/cmdline" 2>/dev/null | grep -q ' trial '; then workers+=("$child"); fi
    done
    [ ${#workers[@]} -gt 0 ] || return 0
    kill -$((RANDOM % 4 ? 9 : 15)) "${workers[RANDOM % ${#workers[@]}]}" 2>/dev/null || return 0
    workers_killed=$((workers_killed + 1))
}

# Ends when the study has ended: its status is what may be after what was done to it.
wait_for_end() {
    local status=0
    wait "$driver" 2>/dev/null || status=$?
    case $status in
    0) return 0 ;;
    9 | 130 | 137) return 1 ;; # stopped in good order; before it listened; killed
    *)
        complain "the study ended with $status:"
        tail -5 tortured.log
        exit 1
        ;;
    esac
}

# Begun again until it is done.
go_on() {
    if wait_for_end; then done=1; else start; fi
}

start
done=0
while [ $done -eq 0 ] && [ $((workers_killed + drivers_killed + interrupts)) -lt $disturbances ]; do
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    if ! kill -0 "$driver" 2>/dev/null; then
        go_on
        continue
    fi
    case $((RANDOM % 10)) in
    [0-5]) kill_worker ;;
    [6-8])
        kill -9 "$driver" && drivers_killed=$((drivers_killed + 1))
        go_on
        ;;
    *) kill -INT "$driver" && interrupts=$((interrupts + 1)) ;; # it may take its time, and worse may come meanwhile
    esac
done
until [ $done -eq 1 ]; do
    go_on
done
check_store tortured
compare_stores quiet tortured
echo "$(find quiet/results -name result.json | wc -l) trials, $(wc -l <quiet/ledger.jsonl) openings, $quiet_seconds s" \
    "undisturbed; $((SECONDS - begun)) s with $workers_killed workers and $drivers_killed studies killed," \
    "$interrupts interrupted, $starts starts: $([ $failed -eq 0 ] && echo the same store || echo ANOTHER STORE)"
exit $failed
