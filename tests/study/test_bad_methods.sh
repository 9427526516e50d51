#!/usr/bin/env bash
# test_bad_methods.sh BAD_PLUGINS VITRO...: plugins that crash, hang, take memory, end the process and so on cost their own
# trials, which say what happened, and nothing else.
set -euo pipefail
bad=$(realpath "$1")
shift
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/study_tools.sh"
cd "$folder"

good='"linear", "bitfit"'
limits='"limits": {"stall_seconds": 12, "trial_seconds": 30, "memory_mib": 1000}'
recipe alone '"builtin:textures:48/16/64"' "$good" 2 0 >alone.json
recipe mixed '"builtin:textures:48/16/64"' \
    "\"late\", \"hang\", \"hungry\", \"crash\", $good, \"diverge\", \"leave_0\", \"leave_1\", \"leave_7\", \"peek\", \"refuse\"" \
    2 0 "$limits" >mixed.json
sed -i 's/"late"/{"name": "late", "method": "late", "search": {"lr": [0.001], "scale": [1], "decay": [0]}}/' mixed.json
expect 0 "4 tuning trials, 2 refits and 2 test evaluations are there" study run alone.json -S alone --final -j 2
expect 0 "23 tuning trials, 2 refits and 2 test evaluations are there" study run mixed.json -S mixed --final -j 2 --plugin-path "$bad"
[[ $said == *"2 diverged, 17 failed"* ]] || complain "not 2 diverged and 17 failed: $said"
said_by_run=$said
expect 0 "" study status mixed -S mixed
lost=$said

# lost COUNT METHOD STATE TEXT: that many of its trials are lost, all in that state and with that text
lost() {
    local found
    found=$(grep -cE "^$3: tune of $2 on textures \([0-9a-f]{12}\): .*$4" <<<"$lost" || true)
    [ "$found" -eq "$1" ] || complain "$found instead of $1 trials of $2 are $3 with \"$4\""
    [ "$3" = diverged ] || grep -qF "$2 on textures: " <<<"$said_by_run" || complain "the run did not tell of $2"
}
lost 1 late failed 'not done after 30 s and was ended'
lost 2 hang failed 'no sign of life for 12 s and was ended'
lost 2 hungry failed 'took more than the 1000 MiB of memory allowed and was ended'
lost 2 crash failed 'crashed: Segmentation fault \(signal 11\)'
lost 2 peek failed 'crashed: Segmentation fault \(signal 11\)'
lost 2 diverge diverged 'loss'
lost 2 leave_0 failed 'ended as if it were done, and left no result'
lost 2 leave_1 failed 'ended with status 1 and did not say why'
lost 2 leave_7 failed 'ended with status 7 and did not say why'
lost 2 refuse failed 'the moon is in the wrong quarter'
[ "$(grep -cE '^(failed|diverged|edited): ' <<<"$lost")" -eq 19 ] || complain "other trials are lost as well"

# What the good ones came to is what they come to by themselves.
check_store alone
check_store mixed
fingerprints alone | sort >good
fingerprints mixed | sort >all
[ -z "$(comm -23 good all)" ] || complain "other methods' results differ: $(comm -23 good all)"
[ "$(openings alone)" = "$(openings mixed | sed 's/"study":"mixed"/"study":"alone"/')" ] || complain "other methods' openings differ"

# Once more: nothing is left to do, and nothing is tried again unless that is asked for. What an end without warning
# leaves is taken away: a result's work, unfinished files, and an index without some of the results.
before=$(fingerprints mixed)
one=$(basename "$(find mixed/results -mindepth 2 -maxdepth 2 | head -1)")
mkdir -p "mixed/work/$one/out"
touch "mixed/work/$one/checkpoint.tmp.77" mixed/packs/any.pack.tmp.77 mixed/studies/mixed/study.new.json.tmp.77
rm mixed/index.sqlite*
cp alone/index.sqlite mixed
expect 0 "23 tuning trials" study resume mixed -S mixed --final -j 2 --plugin-path "$bad"
check_store mixed
[ "$before" = "$(fingerprints mixed)" ] || complain "a study that was done has changed"
if [ $failed -ne 0 ]; then echo "$said_by_run" && echo "$lost"; fi
exit $failed
