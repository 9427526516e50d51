#!/usr/bin/env bash
# test_cheating.sh BAD_PLUGINS VITRO...: whoever edits results, jobs or the ledger, or looks at a test split in other ways than
# the one that is written down, is refused or named.
set -euo pipefail
bad=$(realpath "$1")
shift
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/study_tools.sh"
cd "$folder"

textures='"builtin:textures:48/16/64"'
recipe honest "$textures" '"linear", "bitfit"' 2 '0, 1' >honest.json
expect 0 "4 tuning trials, 4 refits and 4 test evaluations are there" study run honest.json -S store --final -j 2
cp -r store untouched

# restore: the store as it was
restore() {
    rm -rf store
    cp -r untouched store
}

# result STAGE METHOD: the folder of one
result() {
    local file
    for file in store/results/*/*/result.json; do
        if grep -q "\"stage\": *\"$1\"" "$file" && grep -q "\"name\": *\"$2\"" "$file"; then
            dirname "$file"
            return 0
        fi
    done
    complain "there is no result of $2 in $1"
}

# flip FILE: one bit of its last byte
flip() {
    local byte at
    at=$(($(stat -c %s "$1") - 1))
    byte=$(od -An -tu1 -j "$at" "$1")
    printf "%b" "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}

# named FOLDER STATE TEXT: show, status and compare all say so
named() {
    local id
    id=$(basename "$1")
    expect 1 "$2" show "$id" -S store
    expect 0 "edited: " study status honest -S store
    [[ $said == *"(${id:0:12}): $2"* || $said == *"(${id:0:12}): its "*"$2"* ]] || complain "status does not name $id: $said"
    expect 0 "" compare honest -S store
    [[ $(tr -s '\n ' '  ' <<<"$said") == *"flag: the result ${id:0:12} is left out: "*"$2"* ]] ||
        complain "compare does not name $id: $said"
    restore
}

# --- results

one=$(result final linear)
sed -i -E 's/"accuracy": [0-9.]+/"accuracy": 0.99/' "$one/result.json"
named "$one" "claims an accuracy that its logits do not have"

one=$(result tune bitfit)
sed -i -E 's/"accuracy": [0-9.]+/"accuracy": 0.99/' "$one/result.json"
named "$one" "claims an accuracy that its logits do not have"

one=$(result final bitfit)
sed -i -E 's/"lr": [0-9.e-]+/"lr": 0.5/' "$one/result.json"
named "$one" "describes another trial than its id names"

one=$(result tune linear)
flip "$one/val.safetensors"
named "$one" "its val.safetensors is not what was written"

one=$(result final linear)
flip "$one/test.safetensors"
named "$one" "its test.safetensors is not what was written"

one=$(result refit bitfit)
flip "$one/method.safetensors"
named "$one" "its method.safetensors is not what was written"

one=$(result final linear)
head -c 100 untouched/"${one#store/}"/result.json >"$one/result.json"
expect 0 "its result.json is damaged" study status honest -S store
restore

# --- the ledger

# in_compare TEXT: what it says, its lines joined
in_compare() {
    expect 0 "" compare honest -S store
    [[ $(tr -s '\n ' '  ' <<<"$said") == *"$1"* ]] || complain "compare does not say \"$1\": $said"
    restore
}
sed -i '2s/"method":"[a-z]*"/"method":"lora"/' store/ledger.jsonl
in_compare "flag: the ledger was changed after it was written: line 2 does not fit the one before"
sed -i '1d' store/ledger.jsonl
in_compare "flag: the ledger was changed after it was written: line 1 does not fit the one before"
sed -i '$d' store/ledger.jsonl # the chain cannot know of its last
in_compare "4 test results, but the ledger tells of 3 openings only"

# --- a job that gives itself the test split

"${vitro[@]}" study run <(recipe stopped "$textures" '"lora[r=4]"' 1 0) -S stopped -j 1 >stopped.log 2>&1 &
driver=$!
for ((i = 0; i < 600; i++)); do
    if compgen -G 'stopped/work/*/job.json' >found; then break; fi
    sleep 0.1
done
expect 7 "another study runs in the store" study run honest.json -S stopped
kill -9 "$driver"
wait "$driver" 2>/dev/null || true
job=$(head -1 found)
sed 's/"stage": "tune"/"stage": "final"/' "$job" >forged.json
grep -q '"final"' forged.json || complain "the job could not be forged: $(cat "$job")"
expect 1 "the ledger knows of no opening of this test split for the trial" trial forged.json
[ -z "$(find stopped -name test.safetensors)" ] || complain "a forged job opened the test split"

# --- a second look

recipe second "$textures" '"linear", "bitfit"' 2 '0, 1' | sed 's/"batch": 16/"batch": 8/' >second.json
expect 1 "was judged on its test split before" study run second.json -S store --final -j 2
[[ $said == *"4 test splits were not opened"*"--again REASON"* ]] || complain "it is not told how often: $said"
expect 0 "" compare second -S store
expect 0 "4 refits and 4 test evaluations are there" study run second.json -S store --final -j 2 --again "the batch was wrong"
[ "$(grep -c '"reason":"the batch was wrong"' store/ledger.jsonl)" -eq 4 ] || complain "the reasons are not in the ledger"
check_chain store
for study in honest second; do # a look is a look, whoever took it
    expect 0 "" compare "$study" -S store
    [[ $(tr -s '\n ' '  ' <<<"$said") == *"4 of 8 openings of the test split were not the first"* ]] ||
        complain "compare $study does not tell of the second look: $said"
done
expect 0 "bitfit (second)" compare honest second -S store

# --- different things do not share a table

recipe other-data '"builtin:textures:40/16/64"' '"linear"' 1 '0, 1' >data.json
recipe other-model "$textures" '"linear"' 1 '0, 1' | sed 's/"model": "bundled"/"model": "bundled", "random": true/' >model.json
recipe other-seeds "$textures" '"linear"' 1 '0' >seeds.json
for one in data model seeds; do
    expect 0 "test splits are still sealed" study run $one.json -S store -j 2
done
expect 5 "do not share a table: nothing in other-data has the fingerprint" compare honest other-data -S store
expect 5 "do not share a table: their backbones differ" compare honest other-model -S store
expect 5 "do not share a table: their seeds differ" compare honest other-seeds -S store

# --- a plugin that reads the test split while it is tuned

recipe peeking "$textures" '"linear", "peek"' 1 0 >peeking.json
expect 0 "0 diverged, 1 failed" study run peeking.json -S peeking -j 2 --plugin-path "$bad"
[[ $said == *"peek on textures: it crashed: Segmentation fault"* ]] || complain "it is not told that peek died: $said"
[ "$(grep -l '"outcome": *"done"' peeking/results/*/*/result.json | wc -l)" -eq 2 ] || complain "linear was lost with peek"
exit $failed
