#!/usr/bin/env bash
# test_zeroshot.sh GOLDEN VITRO...: `vitro zeroshot` and --head on a random small CLIP, as a user meets them.
set -euo pipefail
golden=$(realpath "$1")
shift
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/../study/study_tools.sh"
cd "$folder"
export XDG_CACHE_HOME=$folder/cache

# of a JSON document in $said
number() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),*$/\1/p" <<<"$said"; }
same() { [ "$2" = "$3" ] && [ -n "$2" ] || complain "$1: $2 is not $3"; }

mkdir clip
cp "$golden/clip_tiny.safetensors" clip/model.safetensors
data=(--data builtin:textures:64/64/32 --image 24)

expect 5 "clip holds no tokenizer" zeroshot --model clip/model.safetensors "${data[@]}"
cp "$golden/clip_merges.txt" clip/merges.txt

# evaluated on the spot, and from its file
expect 0 "zero-shot accuracy" zeroshot --model clip/model.safetensors "${data[@]}"
expect 0 '"accuracy"' zeroshot --model clip/model.safetensors "${data[@]}" --save head.safetensors --json
accuracy=$(number accuracy)
same "images of val" "$(number images)" 64
expect 0 "" eval --model clip/model.safetensors --head head.safetensors "${data[@]}" --json
same "accuracy from the file" "$(number accuracy)" "$accuracy"

# an ensemble of prompts is another head; the same prompts give the same bytes
printf '{} cat\n\na {} photo, {}\n' >templates.txt
expect 0 "templates" zeroshot --model clip/model.safetensors "${data[@]}" --templates templates.txt --save two.safetensors
expect 0 "" zeroshot --model clip/model.safetensors "${data[@]}" --templates templates.txt --save again.safetensors
cmp -s two.safetensors again.safetensors || complain "the same prompts gave other bytes"
cmp -s two.safetensors head.safetensors && complain "other prompts gave the same head"

# trained further: without learning it stays what it was
expect 0 "" train --model clip/model.safetensors --head head.safetensors "${data[@]}" --method linear --epochs 1 --warmup 0 \
    --lr 0 --save linear.safetensors --json
same "accuracy after training at rate 0" "$(number accuracy)" "$accuracy"
expect 0 "" eval --load linear.safetensors --model clip/model.safetensors --head head.safetensors "${data[@]}" --json
same "accuracy of the trained file" "$(number accuracy)" "$accuracy"
expect 0 "" eval --load linear.safetensors "${data[@]}" --json
same "accuracy of the trained file, which knows its model and head" "$(number accuracy)" "$accuracy"
expect 5 "" eval --load linear.safetensors --model clip/model.safetensors --head two.safetensors "${data[@]}"

# class names travel with the head
expect 0 "" model clip/model.safetensors
printf 'P6\n2 2\n255\nabcdefghijkl' >four.ppm
expect 0 "four.ppm" predict --model clip/model.safetensors --head head.safetensors --normalise clip --image 24 four.ppm

# what does not fit
printf 'one\ntwo\n' >names.txt
expect 5 "names.txt names 2 classes" zeroshot --model clip/model.safetensors "${data[@]}" --classes names.txt
printf 'a photo\n' >blind.txt
expect 5 "does not say with {} where the class goes" zeroshot --model clip/model.safetensors "${data[@]}" --templates blind.txt
expect 5 "the model's head has 2 classes, the data 8" eval --model clip/model.safetensors "${data[@]}" --head "$(
    "${vitro[@]}" zeroshot --model clip/model.safetensors --classes names.txt --save small.safetensors >/dev/null
    echo small.safetensors)"
expect 5 "is no head" eval --model clip/model.safetensors "${data[@]}" --head clip/model.safetensors

# in a study every method begins with it
cat >recipe.json <<'END'
{"schema": "vitro.recipe/1", "name": "zero", "backbones": [{"name": "clip", "model": "clip/model.safetensors",
 "head": "head.safetensors"}], "packs": [{"data": "builtin:textures:64/64/32", "image": 24}], "methods": ["linear", "lora[r=2]"],
 "tune": {"strategy": "none"}, "seeds": [0], "training": {"epochs": 1, "warmup": 0, "batch": 16, "lr": 0.0001, "schedule": "plain"}}
END
expect 0 "" study run recipe.json -S store
mkdir elsewhere
id=$(basename "$(dirname "$(find store/results -name result.json | head -1)")")
cd elsewhere
expect 0 "bit-identical" repro "$id" -S ../store
cd ..
exit "$failed"
