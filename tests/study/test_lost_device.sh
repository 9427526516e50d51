#!/usr/bin/env bash
# test_lost_device.sh VITRO...: devices that are lost while a study trains cost it nothing but time: where a worker can go
# on by itself, and where only a fresh process can; one that is always lost costs its trials, each with its reason.
set -euo pipefail
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/study_tools.sh"
cd "$folder"

recipe lost '"builtin:textures:48/16/64"' '"linear", "lora[r=4]"' 1 '0' >recipe.json
expect 0 "" study run recipe.json -S quiet -j 1
check_store quiet

export VITRO_LOSE_SUBMIT=2
expect 0 "" study run recipe.json -S once -j 1
check_store once
compare_stores quiet once
recovered=$(grep -rl '"recovered": *1' --include=run.json once/results | wc -l || true)
[ "$recovered" -ge 2 ] || complain "only $recovered trainings say that their device was lost"

export VITRO_LOSE_SUBMIT=2:100:$folder/used
expect 0 "" study run recipe.json -S fresh -j 1
[[ $said == *"the device was lost"*"tried once more"* ]] || complain "the study does not say that a device was lost: $said"
check_store fresh
compare_stores quiet fresh
[ -e used ] || complain "no worker lost its device"

export VITRO_LOSE_SUBMIT=2:100
status=0
"${vitro[@]}" study run recipe.json -S never -j 1 >never.log 2>&1 </dev/null || status=$?
grep -q "the device was lost" never.log || complain "status $status, and no word of a lost device: $(cat never.log)"
tried=$(grep -c "tried once more" never.log || true)
[ "$tried" -ge 2 ] || complain "a trial was tried again $tried times, not twice: $(cat never.log)"
failures=$(grep -rl 'the device was lost' --include=result.json never/results | wc -l || true)
[ "$failures" -ge 1 ] || complain "no trial has the lost device for its reason"

export VITRO_LOSE_SUBMIT=often
expect 5 "it must be N[:TIMES[:FILE]]" train --data builtin:textures:48/16/64 --batch 16 --epochs 1 --warmup 0
exit $failed
