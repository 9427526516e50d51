#!/usr/bin/env bash
# test_program.sh GROUP PROGRAM BAD_PLUGINS [LAUNCHER]: the program as a user meets it. GROUP is `words`
# (help, refusals; no device is needed) or `work` (training, saving, resuming on a device). Each function's
# name is the sentence it proves.
# shellcheck disable=SC2317,SC2015 # the sentences are called by their names; `a && b || complain` means what it says
set -uo pipefail
usage="usage: test_program.sh words|work PROGRAM BAD_PLUGINS [LAUNCHER]"
group=${1:?$usage} program=${2:?$usage} bad=${3:?$usage} launcher=${4:-}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache LC_ALL=C
unset VITRO_PLUGIN_PATH VITRO_VULKAN_LOADER
verbs="devices plugins lint selftest tune profile tasks pack model db train eval predict merge import zeroshot pretrain study compare agree ensemble report robust wise export show diff
    repro demo version"

vitro() { ${launcher:+"$launcher"} "$program" "$@"; }

# run STATUS ARGUMENT...: what it prints goes to ./out and ./err.
run() {
    local wanted=$1 got
    shift
    vitro "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$wanted" ] || { echo "status $got instead of $wanted from: vitro $* ($(head -c 600 err))" && return 1; }
}
says() { grep -qF -- "$1" out || { echo "stdout does not say \"$1\": $(head -c 600 out)" && return 1; }; }
one_line() { [ "$(wc -l <err)" = 1 ] && grep -qF -- "$1" err || { echo "stderr does not say just \"$1\": $(head -c 600 err)" && return 1; }; }
is_silent() { [ ! -s err ] || { echo "stderr is not empty: $(head -c 600 err)" && return 1; }; }
# One sentence on stderr with these words, and nothing on stdout.
one_sentence() {
    local word
    [ "$(wc -l <err)" = 1 ] && [[ $(cat err) == "vitro: "* ]] || { echo "not one sentence: $(cat err)" && return 1; }
    [ ! -s out ] || { echo "stdout is not empty: $(head -c 300 out)" && return 1; }
    for word; do
        grep -qF -- "$word" err || { echo "\"$(cat err)\" does not say \"$word\"" && return 1; }
    done
}
# refuses STATUS WORDS -- ARGUMENT...
refuses() {
    local status=$1 words=()
    shift
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    run "$status" "$@" && one_sentence "${words[@]}" || { echo "  of: vitro $*" && return 1; }
}
same_bytes() { cmp -s "$1" "$2" || { echo "$1 and $2 differ" && return 1; }; }
number() { sed -n "s/^ *\"$1\": \([0-9.e-]*\),*$/\1/p" out; } # of a JSON document in ./out

# 24 images for training, 6 for val, 9 for test, of three classes told by colour: 8 x 8 pixels, no zero bytes.
make_data_set() {
    mkdir -p "$1/images"
    awk -v folder="$1" 'BEGIN {
        srand(7); split("train800 val200 test", list); count[1] = 24; count[2] = 6; count[3] = 9
        for (k = 1; k <= 3; k++)
            for (i = 0; i < count[k]; i++) {
                label = i % 3; name = "images/" list[k] "-" i ".ppm"; file = folder "/" name
                printf "P6\n8 8\n255\n" >file
                for (p = 0; p < 64; p++)
                    for (c = 0; c < 3; c++)
                        printf "%c", (c == label ? 180 : 40) + int(rand() * 40) >file
                close(file)
                print name, label >(folder "/" list[k] ".txt")
            }
    }'
    printf 'red\ngreen\nblue\n' >"$1/classes.txt"
}

# --- words

help_is_there_for_every_verb() {
    local verb
    run 0 --help && is_silent && says "Exit status:" || return 1
    for verb in $verbs; do
        run 0 --help && says "  $verb " || return 1
        run 0 "$verb" --help && is_silent && says "usage: vitro $verb" && says "Examples:" && says "--help" || return 1
        mv out page
        run 0 help "$verb" && same_bytes page out || return 1
        ! sed '/^Examples:/,$d; /^usage:/d' page | grep -E '.{81}' || { echo "a line of $verb is too long" && return 1; }
    done
}

no_verb_or_a_wrong_one_is_refused() {
    refuses 2 "a verb is missing" -- &&
        refuses 2 '"trian"' "did you mean train?" -- trian &&
        refuses 2 '"xyzzy"' "vitro --help" -- xyzzy &&
        refuses 2 '"demmo"' "did you mean demo?" -- help demmo
}

wrong_options_are_refused_by_name() {
    refuses 2 "--epoch" "did you mean --epochs?" -- train --epoch 3 &&
        refuses 2 "--epochs" "between 1 and 100000" -- train --epochs 0 &&
        refuses 2 "--epochs" "whole number" -- train --epochs 2.5 &&
        refuses 2 "--epochs" "needs a value" -- train --epochs &&
        refuses 2 "--lr" "between 0 and 1000" -- train --lr=nan &&
        refuses 2 "--schedule" "study, plain" -- train --schedule linear &&
        refuses 2 "--seed" "2^64" -- train --seed -1 &&
        refuses 2 "--seed" "2^64" -- train --seed 18446744073709551616 &&
        refuses 2 "--json" "takes no value" -- tasks --json=yes &&
        refuses 2 "--save" "empty" -- train --save "" &&
        refuses 2 "-Z" -- train -Z &&
        refuses 2 '"stray"' -- devices stray &&
        refuses 2 '"b"' "too many" -- pack a b &&
        refuses 2 "IMAGE is missing" -- predict &&
        refuses 2 "--model FILE is needed" "both its towers" -- zeroshot --data builtin:count &&
        refuses 2 "--data DATA evaluates" "--save FILE keeps" -- zeroshot --model x.safetensors &&
        refuses 2 "--classes FILE must name" -- zeroshot --model x.safetensors --save h.safetensors &&
        refuses 2 "--data" -- train --model x.safetensors &&
        refuses 2 "--save" -- pretrain
}

a_sentence_is_one_line_whatever_a_name_holds() {
    refuses 2 "there is no verb" "two?lines?[31m" -- $'two\nlines\x1b[31m' &&
        refuses 7 "no?such" -- pack $'no\nsuch' --normalise half
}

wrong_methods_are_refused() {
    local data=(--data builtin:count:8/8/8)
    refuses 5 "lorra" "did you mean lora?" -- train "${data[@]}" --method lorra &&
        refuses 5 "r" "1024" -- train "${data[@]}" --method 'lora[r=0]' &&
        refuses 5 "rank" -- train "${data[@]}" --method 'lora[rank=4]' &&
        refuses 5 "bracket" -- train "${data[@]}" --method 'lora]' &&
        refuses 5 "name is missing" -- train "${data[@]}" --method 'lora+' &&
        refuses 5 "lorra" -- plugins lorra
}

wrong_plugins_are_refused() {
    refuses 6 "ABI 7.0" "this host speaks" -- plugins "$bad/vitro_wrong_major.so" &&
        refuses 6 "vitro_plugin" -- plugins "$bad/vitro_no_symbol.so" &&
        refuses 5 "vitro_nothing_there.so" -- plugins ./vitro_nothing_there.so &&
        refuses 5 "no folder" "$folder/empty" -- plugins --plugin-path "$folder/empty" &&
        VITRO_PLUGIN_PATH=$folder/empty refuses 6 "no plugin" "--plugin-path" -- plugins || return 1
    run 0 plugins --plugin-path "$bad" && says "refused: " && says "vitro_wrong_major.so" && says "vitro_no_symbol.so"
}

missing_and_damaged_files_are_refused() {
    printf '\x89PNG\r\n\x1a\nnothing' >broken.png
    printf 'VITROPAKxxxx' >broken.pack
    head -c 100 /dev/zero >zeros.safetensors
    mkdir -p unlisted
    refuses 7 "nothing.safetensors" -- model nothing.safetensors &&
        refuses 5 "zeros.safetensors" -- model zeros.safetensors &&
        refuses 5 "the folder $folder holds no model" -- model "$folder" &&
        refuses 5 "pack" -- pack broken.pack &&
        refuses 7 "nowhere cannot be found" -- pack nowhere &&
        refuses 5 "train800.txt" -- pack unlisted --normalise half &&
        refuses 2 "--normalise none, half" -- pack unlisted &&
        refuses 5 "there is no normalisation" -- pack unlisted --normalise quarter &&
        refuses 5 "there is no built-in task" "textures" -- pack builtin:texture --size 32 &&
        refuses 2 "TRAIN/VAL/TEST" -- pack builtin:textures:3 --size 32 &&
        refuses 7 "nothing.txt" -- predict broken.png --classes nothing.txt &&
        refuses 7 "gone.safetensors" -- eval --load gone.safetensors
}

a_full_disk_is_noticed_on_stdout() {
    [ -w /dev/full ] || return 0
    local status
    vitro tasks >/dev/full 2>err
    status=$?
    : >out
    [ "$status" = 7 ] || { echo "status $status instead of 7" && return 1; }
    one_sentence "stdout"
}

no_vulkan_loader_is_one_sentence() {
    VITRO_VULKAN_LOADER=/nonexistent refuses 4 "/nonexistent" -- devices &&
        VITRO_VULKAN_LOADER=/nonexistent refuses 4 "/nonexistent" -- selftest
}

no_device_is_one_sentence() {
    local launcher="" # a launcher would bring its own driver
    export VK_DRIVER_FILES=/nonexistent.json VK_ICD_FILENAMES=/nonexistent.json
    refuses 4 "install" -- devices && refuses 4 "install" -- selftest
    local status=$?
    unset VK_DRIVER_FILES VK_ICD_FILENAMES
    return "$status"
}

# --- work

shapes=(--image 32 --dim 64 --hidden 128 --depth 1 --heads 2 --images 64 --epochs 1 --warmup 0 --batch 32)
quick=(--model tiny.safetensors --method 'lora[r=2]' --epochs 2 --warmup 0 --batch 8)

a_small_model_is_made() {
    run 0 pretrain --save tiny.safetensors "${shapes[@]}" && is_silent && says "accuracy on new images" || return 1
    run 0 model tiny.safetensors --json && [ "$(number dim)" = 64 ] && [ "$(number depth)" = 1 ] && [ "$(number heads)" = 2 ]
}

truncated_weights_are_refused() {
    head -c 5000 tiny.safetensors >short.safetensors
    refuses 5 "short.safetensors" -- model short.safetensors &&
        refuses 5 "short.safetensors" -- train --model short.safetensors --data builtin:count:16/8/8
}

data_is_packed_the_same_from_a_folder_an_archive_and_on_the_fly() {
    make_data_set set
    tar cf set.tar set
    run 0 pack set --normalise half --size 32 -o a.pack && one_line "24 train, 6 val and 9 test images" && says "fingerprint" || return 1
    run 0 pack set.tar --normalise half --size 32 -o b.pack --task set && same_bytes a.pack b.pack || return 1
    run 0 train --data set --normalise half "${quick[@]}" --save fly.safetensors --json && is_silent || return 1
    grep -qF "$(vitro pack a.pack --json | grep fingerprint | cut -d'"' -f4)" out || { echo "another fingerprint" && return 1; }
    [ "$(find cache -name '*.pack' | wc -l)" = 1 ] || { echo "not one pack in the cache" && return 1; }
}

each_seed_draws_shots_of_its_own_in_a_file_of_its_own() {
    local seed
    for seed in 1 2; do
        run 0 pack set --normalise half --size 32 --shots 2 --seed "$seed" --json && [ "$(number train)" = 6 ] &&
            [ "$(number val)" = 6 ] && [ "$(number test)" = 9 ] && [ -f "set-32-2shot-$seed.pack" ] || return 1
    done
    ! cmp -s set-32-2shot-1.pack set-32-2shot-2.pack || { echo "two seeds drew the same" && return 1; }
    run 0 pack set --normalise half --size 32 --shots 2 --seed 1 -o again.pack && same_bytes again.pack set-32-2shot-1.pack || return 1
    refuses 5 "too few for so many shots" -- pack set --normalise half --size 32 --shots 100 &&
        refuses 2 "has its splits already" -- pack a.pack --shots 2 &&
        refuses 2 "has its splits already" -- pack builtin:count --train 8
}

training_saving_evaluating_and_predicting_agree() {
    run 0 train --data a.pack "${quick[@]}" --save a.safetensors --json && is_silent || return 1
    local accuracy
    accuracy=$(number accuracy)
    [ "$(number parameters)" = 512 ] && [ "$(number parameters_head)" = 195 ] || { echo "other counts: $(cat out)" && return 1; }
    run 0 eval --load a.safetensors --json && [ "$(number accuracy)" = "$accuracy" ] || return 1
    run 0 predict --load a.safetensors set/images/test-0.ppm set/images/test-1.ppm --top 3 &&
        says "set/images/test-1.ppm" && says "%  red" && says "%  green" && says "%  blue" && [ "$(wc -l <out)" = 8 ]
}

a_merged_method_is_a_model_that_answers_alike() {
    local accuracy
    run 0 eval --load a.safetensors --json && accuracy=$(number accuracy) || return 1
    run 0 merge a.safetensors --output merged.safetensors --json && is_silent && [ "$(number flipped)" = 0 ] || return 1
    run 0 eval --model merged.safetensors --data a.pack --json && [ "$(number accuracy)" = "$accuracy" ] || return 1
    run 0 merge a.safetensors --output merged-hf --names hf --json && is_silent || return 1
    run 0 eval --model merged-hf --data a.pack --json && [ "$(number accuracy)" = "$accuracy" ] || return 1
    grep -q '"0": *"blue"\|"0": *"red"\|"0": *"green"' merged-hf/config.json || { echo "no names of classes" && return 1; }
    refuses 1 "nothing was written" -- merge a.safetensors --output never.safetensors --tolerance 0 &&
        [ ! -e never.safetensors ] && refuses 2 "--output" -- merge a.safetensors
}

an_adapter_goes_out_and_comes_back() {
    local accuracy names
    run 0 train --data a.pack "${quick[@]}" --method 'vera[r=8]' --lr 0.05 --save vera.safetensors --json && accuracy=$(number accuracy) || return 1
    for names in timm hf hf5; do
        run 0 export vera.safetensors --peft "vera-$names" --names "$names" --base a-model && is_silent || return 1
        run 0 import "vera-$names" --model tiny.safetensors --data a.pack --output back.safetensors --json && is_silent || return 1
        run 0 eval --load back.safetensors --json && [ "$(number accuracy)" = "$accuracy" ] || return 1
    done
    run 0 export back.safetensors --peft vera-again --names timm && run 0 import vera-again --model tiny.safetensors --data a.pack --output back.safetensors &&
        run 0 eval --load back.safetensors --json && [ "$(number accuracy)" = "$accuracy" ] || return 1
    grep -q a-model vera-hf/adapter_config.json && refuses 5 "has the shape" -- import vera-hf --model tiny.safetensors --data builtin:count:16/8/8 --output never.safetensors &&
        refuses 2 "--output" -- import vera-hf --model tiny.safetensors --data a.pack && refuses 2 "METHODFILE" -- export vera.safetensors a.safetensors --peft f &&
        refuses 2 "--csv" -- export vera.safetensors && refuses 7 "adapter_config.json" -- import . --model tiny.safetensors --data a.pack --output never.safetensors &&
        [ ! -e never.safetensors ]
}

the_same_seed_gives_the_same_bytes() {
    run 0 train --data a.pack "${quick[@]}" --save again.safetensors && same_bytes a.safetensors again.safetensors || return 1
    run 0 train --data a.pack "${quick[@]}" --seed 43 --save other.safetensors || return 1
    ! cmp -s a.safetensors other.safetensors || { echo "another seed gave the same bytes" && return 1; }
}

trials_trained_at_once_save_what_each_saves_alone() {
    run 0 train --data a.pack "${quick[@]}" --save one.safetensors --beside "lora[r=2] seed=43 save=two.safetensors" \
        --beside "bitfit lr=3e-3 drop_path=0 save=three.safetensors" && is_silent && says "bitfit" || return 1
    same_bytes a.safetensors one.safetensors && same_bytes other.safetensors two.safetensors || return 1
    run 0 train --data a.pack "${quick[@]}" --method bitfit --lr 3e-3 --drop-path 0 --save third.safetensors || return 1
    same_bytes third.safetensors three.safetensors || return 1
    run 0 train --data a.pack "${quick[@]}" --memory --beside linear && says "packed trials" && says "2, " || return 1
    refuses 5 "the batch of trial 2 (linear) is 2" -- train --data a.pack "${quick[@]}" --beside "linear batch=2" &&
        refuses 5 "give all the same seed" -- train --data a.pack "${quick[@]}" --random --beside "linear seed=9" &&
        refuses 2 "begins with a method" -- train --data a.pack --beside "lr=1" &&
        refuses 2 "--beside" "--sed" -- train --data a.pack --beside "linear sed=1"
}

what_does_not_belong_together_is_refused() {
    run 0 pack builtin:count:16/8/8 --size 32 -o count.pack || return 1
    printf 'one\ntwo\n' >two.txt
    refuses 5 "a.safetensors" "classes" -- eval --load a.safetensors --data count.pack &&
        refuses 5 "normalisation" -- eval --load a.safetensors --data set --normalise clip &&
        refuses 5 "normalisation" -- predict --load a.safetensors --normalise clip set/images/test-0.ppm &&
        refuses 5 "two.txt" "2 classes" -- predict --load a.safetensors --classes two.txt set/images/test-0.ppm &&
        refuses 5 "32" "48" -- train --data a.pack --image 48 "${quick[@]}" &&
        refuses 5 "tiny.safetensors" "metadata" -- eval --load tiny.safetensors --data a.pack || return 1
    run 0 pretrain --save twin.safetensors "${shapes[@]}" --seed 1 || return 1
    refuses 5 "SHA-256" -- eval --load a.safetensors --model twin.safetensors || return 1
    sed 's/ 0$/ 1/' set/test.txt >relabelled && cp -r set set2 && mv relabelled set2/test.txt
    refuses 5 "fingerprint" "--other-data" -- eval --load a.safetensors --data set2 --normalise half &&
        run 0 eval --load a.safetensors --data set2 --normalise half --other-data
}

a_trained_method_remembers_how_its_weights_were_read() {
    local accuracy
    run 0 train --data a.pack "${quick[@]}" --act quick_gelu --save quick.safetensors --json && accuracy=$(number accuracy) || return 1
    ! cmp -s a.safetensors quick.safetensors || { echo "--act changed nothing" && return 1; }
    run 0 eval --load quick.safetensors --json && [ "$(number accuracy)" = "$accuracy" ] || return 1
    refuses 5 "quick.safetensors" "the activation quick_gelu" "--act" -- eval --load quick.safetensors --act gelu &&
        refuses 5 "a.safetensors" "the activation gelu" -- predict --load a.safetensors --act quick_gelu set/images/test-0.ppm &&
        refuses 5 "a.safetensors" "leave out --heads" -- eval --load a.safetensors --heads 1
}

a_damaged_image_is_named() {
    head -c 100 set/images/test-0.ppm >cut.ppm
    printf 'no image at all' >text.png
    refuses 5 "cut.ppm" -- predict --load a.safetensors set/images/test-0.ppm cut.ppm &&
        refuses 5 "text.png" -- predict --load a.safetensors text.png &&
        refuses 7 "gone.png" -- predict --load a.safetensors gone.png
}

# Starts the training in the background and sends the signal when the second checkpoint is there.
long=(--data a.pack "${quick[@]}" --epochs 30 --checkpoint long.ck --checkpoint-steps 1 --save long.safetensors --json)
interrupt() { # SIGNAL
    rm -f long.ck
    ${launcher:+"$launcher"} "$program" train "${long[@]}" >out 2>err </dev/null & # itself, not a shell around it
    local pid=$! first="" wait
    for wait in {1..3000}; do
        [ ! -e long.ck ] || first=${first:-$(stat -c %i long.ck)}
        [ -z "$first" ] || [ "$(stat -c %i long.ck 2>/dev/null || echo "$first")" = "$first" ] || break
        sleep 0.02
    done
    kill -s "$1" "$pid"
    wait "$pid"
    status=$?
    [ "$wait" -lt 3000 ] || { echo "there was no checkpoint" && return 1; }
}

a_killed_training_goes_on_to_the_same_bytes() {
    run 0 train "${long[@]}" && mv long.safetensors whole.safetensors || return 1
    interrupt KILL && [ "$status" = 137 ] && [ ! -e long.safetensors ] || { echo "it ended too early: $status" && return 1; }
    run 0 train "${long[@]}" && is_silent || return 1
    [ "$(number resumed)" -gt 0 ] && [ "$(number resumed)" -lt "$(number steps)" ] || { echo "not resumed: $(cat out)" && return 1; }
    same_bytes whole.safetensors long.safetensors
}

a_stopped_training_says_so_and_goes_on() {
    interrupt TERM && [ "$status" = 9 ] && one_sentence "stopped at step" "long.ck" || { echo "status $status" && return 1; }
    rm -f long.safetensors
    run 0 train "${long[@]}" && same_bytes whole.safetensors long.safetensors
}

a_checkpoint_of_another_training_is_refused() {
    refuses 5 "long.ck" -- train "${long[@]}" --lr 0.5
}

# A probe of 30 images, 32 rows of 64 class features in whole batches of 8: not kept, kept, and killed on the way.
what_is_computed_once_changes_no_byte() {
    local long=(--data a.pack "${quick[@]}" --method linear --drop-path 0 --epochs 40 --checkpoint long.ck
        --checkpoint-steps 1 --save long.safetensors --json)
    rm -f long.ck
    run 0 train "${long[@]}" --feature-cache 0 && [ -z "$(number features_bytes)" ] || return 1
    mv long.safetensors whole.safetensors
    rm -f long.ck
    run 0 train "${long[@]}" && [ "$(number features_bytes)" = 6144 ] || { echo "not kept: $(cat out)" && return 1; }
    same_bytes whole.safetensors long.safetensors || return 1
    rm -f long.safetensors
    interrupt KILL && [ "$status" = 137 ] && [ ! -e long.safetensors ] || { echo "it ended too early: $status" && return 1; }
    run 0 train "${long[@]}" && [ "$(number resumed)" -gt 0 ] && same_bytes whole.safetensors long.safetensors
}

a_diverged_training_is_one_sentence() {
    refuses 8 "diverged" "learning rate" -- train --data a.pack "${quick[@]}" --method full --lr 1000 --lr-start 1000 \
        --epochs 20 --save diverged.safetensors && [ ! -e diverged.safetensors ]
}

a_full_disk_leaves_no_half_file() { # a file system of 16 KiB, where this user may mount one
    local mount=(unshare --mount) small=$folder/small
    mkdir -p small
    [ "$(id -u)" = 0 ] || mount=(unshare --user --map-root-user --mount)
    "${mount[@]}" mount -t tmpfs none "$small" 2>/dev/null || { echo "not tried: no file system can be mounted" >&2 && return 0; }
    # shellcheck disable=SC2016 # the inner shell expands them
    "${mount[@]}" bash -c 'small=$1 && shift && mount -t tmpfs -o size=16k none "$small" && "$@" >out 2>err
        status=$? && ls -A "$small" >left && exit $status' - "$small" ${launcher:+"$launcher"} "$program" \
        train --data a.pack "${quick[@]}" --method full --save "$small/full.safetensors"
    local status=$?
    [ "$status" = 7 ] || { echo "status $status instead of 7 ($(cat err))" && return 1; }
    one_sentence "small/full.safetensors" && [ ! -s left ] || { echo "left behind: $(cat left)" && return 1; }
}

a_wrong_device_is_refused() {
    refuses 4 "device 200" -- selftest --device 200
}

a_test_split_opens_once_and_that_is_written_down() {
    local final=(train --data a.pack "${quick[@]}" --split trainval --final --store opened)
    run 0 train --data a.pack "${quick[@]}" --split trainval && says "test is sealed" && ! says "accuracy" >once || return 1
    [ ! -e vitro-store ] || { echo "a store where nothing was opened" && return 1; }
    run 0 "${final[@]}" --save final.safetensors && says "accuracy" && run 0 "${final[@]}" || return 1
    run 0 eval --load final.safetensors --final --store opened || return 1 # the same trial: no second look
    [ "$(wc -l <opened/ledger.jsonl)" = 1 ] || { echo "not one opening: $(cat opened/ledger.jsonl)" && return 1; }
    refuses 5 "before" "--again" -- "${final[@]}" --lr 0.5 || return 1
    run 0 "${final[@]}" --lr 0.5 --again "the rate was wrong" && [ "$(wc -l <opened/ledger.jsonl)" = 2 ] || return 1
    grep -qF "the rate was wrong" opened/ledger.jsonl
}

the_demo_ends_with_a_table_and_a_report() {
    local demo=(demo --model tiny.safetensors --tasks count --methods 'linear,lora[r=2]' --images 40 --epochs 1 --trials 1 --seeds 1)
    run 0 "${demo[@]}" --store demo || return 1
    says "parameters" && says "linear" && says "lora[r=2]" && says "report: demo/studies/demo/report.html" || return 1
    [ -s demo/studies/demo/report.html ] || { echo "there is no report" && return 1; }
    run 0 "${demo[@]}" --store demo || return 1 # goes on: nothing is left to do
    refuses 5 "there is no built-in task" -- demo --model tiny.safetensors --tasks counts
}

the_kernels_that_are_asked_for_agree() {
    run 0 selftest --filter gelu --repeats 1 && is_silent && says "passed" || return 1
    refuses 2 "xyzzy" -- selftest --filter xyzzy
}

a_profile_says_whose_time_it_is() {
    local profile=(profile --model tiny.safetensors --method lora[r=2]+bitfit --batch 4 --steps 2)
    run 0 "${profile[@]}" --by method --trace trace.json && is_silent || return 1
    says "lora" && says "bitfit" && says "backbone" && says "backward" && says "ceiling of products" || return 1
    grep -qF '"traceEvents"' trace.json && grep -qF 'lora at QKV of block 0' trace.json || { echo "no trace" && return 1; }
    run 0 "${profile[@]}" --by place --inference --top 8 --json && says "of block 0" && says ' others"' || return 1
    says '"ceiling_gflops"' && ! says "backward" >err || return 1
    refuses 2 "--by" "kernel, op, site, place, method" -- "${profile[@]}" --by colour &&
        refuses 7 "no/such" -- "${profile[@]}" --trace no/such/folder.json
}

kernels_are_tuned_once_and_asked_for_by_name() {
    local tune=(tune --model tiny.safetensors --method 'lora[r=2]' --image 32 --batch 8 --repeats 1 -o kernels.json)
    local train=(train --data a.pack "${quick[@]}")
    run 0 "${tune[@]}" && is_silent && says "nt fp32" && says "attention back_q 8x" && says "kept in kernels.json" || return 1
    run 0 "${tune[@]}" --precision bf16 --json && says '"tuned_seconds"' || return 1
    grep -qF 'nt fp32": ' kernels.json && grep -qF 'nt bf16": ' kernels.json || { echo "not both precisions: $(head -c 600 kernels.json)" && return 1; }
    run 0 "${train[@]}" --tuning kernels.json --save tuned.safetensors && is_silent || return 1
    sed 's/"device": "/&not /' kernels.json >other.json
    refuses 5 "other.json was made for another device" -- "${train[@]}" --tuning other.json &&
        refuses 5 "there is no none.json" -- "${train[@]}" --tuning none.json
}

what_a_training_takes_is_told_and_what_does_not_fit_is_refused() {
    local train=(train --data a.pack "${quick[@]}")
    run 0 "${train[@]}" --memory && is_silent && says "activations" && says "frozen weights" && says "there is" || return 1
    run 0 "${train[@]}" --memory --json && says '"alive_at_peak"' && says '"peak"' || return 1
    refuses 4 "does not fit" -- "${train[@]}" --device-memory 1 || refuses 4 "are missing" -- "${train[@]}" --device-memory 1
}

activations_computed_again_change_no_byte() {
    run 0 train --data a.pack "${quick[@]}" --save kept.safetensors || return 1
    run 0 train --data a.pack "${quick[@]}" --checkpoint-activations --save again.safetensors || return 1
    same_bytes kept.safetensors again.safetensors
}

words=(help_is_there_for_every_verb no_verb_or_a_wrong_one_is_refused wrong_options_are_refused_by_name
    a_sentence_is_one_line_whatever_a_name_holds wrong_methods_are_refused wrong_plugins_are_refused
    missing_and_damaged_files_are_refused a_full_disk_is_noticed_on_stdout no_vulkan_loader_is_one_sentence
    no_device_is_one_sentence)
work=(a_small_model_is_made truncated_weights_are_refused
    data_is_packed_the_same_from_a_folder_an_archive_and_on_the_fly each_seed_draws_shots_of_its_own_in_a_file_of_its_own
    training_saving_evaluating_and_predicting_agree a_merged_method_is_a_model_that_answers_alike an_adapter_goes_out_and_comes_back the_same_seed_gives_the_same_bytes
    trials_trained_at_once_save_what_each_saves_alone
    what_does_not_belong_together_is_refused a_trained_method_remembers_how_its_weights_were_read a_damaged_image_is_named a_killed_training_goes_on_to_the_same_bytes
    a_stopped_training_says_so_and_goes_on a_checkpoint_of_another_training_is_refused
    what_is_computed_once_changes_no_byte a_diverged_training_is_one_sentence a_full_disk_leaves_no_half_file
    a_wrong_device_is_refused
    a_test_split_opens_once_and_that_is_written_down the_demo_ends_with_a_table_and_a_report the_kernels_that_are_asked_for_agree
    a_profile_says_whose_time_it_is kernels_are_tuned_once_and_asked_for_by_name
    what_a_training_takes_is_told_and_what_does_not_fit_is_refused activations_computed_again_change_no_byte)

failed=0
if [ "$group" = work ]; then
    vitro devices >out 2>err || { cat err && exit 77; } # there is nothing to work on
    sentences=("${work[@]}")
else
    sentences=("${words[@]}")
fi
for sentence in "${sentences[@]}"; do
    start=${EPOCHREALTIME/./}
    if why=$($sentence); then
        printf 'ok      %5d ms  %s\n' $(((${EPOCHREALTIME/./} - start) / 1000)) "$sentence"
    else
        printf 'FAILED            %s\n%s\n' "$sentence" "$why"
        failed=1
    fi
done
exit $failed
