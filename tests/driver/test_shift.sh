#!/usr/bin/env bash
# test_shift.sh PROGRAM [LAUNCHER]: `vitro robust` and `vitro wise` as a user meets them, on a study of seconds. Each
# function's name is the sentence it proves.
# shellcheck disable=SC2317 # the sentences are called by their names
set -uo pipefail
program=${1:?usage: test_shift.sh PROGRAM [LAUNCHER]} launcher=${2:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache LC_ALL=C

vitro() { ${launcher:+"$launcher"} "$program" "$@" >out 2>err </dev/null; }
complain() { echo "$*: $(head -c 600 err) $(head -c 300 out)" && return 1; }
says() { grep -qF -- "$1" "${2:-out}" || complain "${2:-out} does not say \"$1\""; }
lines() { wc -l <"$1"; }

cat >recipe.json <<'JSON'
{ "schema": "vitro.recipe/1", "name": "small",
  "backbones": [{"name": "random", "model": "bundled", "random": true}],
  "packs": [{"data": "builtin:shapes:20/10/10", "image": 32}],
  "methods": ["linear", "vpt[prompts=2]", "full"],
  "search": {"lr": [0.002]}, "refit": "train", "seeds": [0],
  "shifts": ["fog:3", "gaussian_noise:2", {"name": "again", "data": "builtin:shapes:4/4/12"}],
  "training": {"epochs": 1, "warmup": 0, "batch": 10} }
JSON

a_study_is_judged_under_the_shifts_of_its_recipe() {
    vitro study run recipe.json || complain "the study"
    vitro robust small || complain "robust on val"
    says "val images"
    [ ! -s vitro-store/ledger.jsonl ] || complain "val was written into the ledger"
    vitro study run recipe.json --final || complain "the finals"
    local before
    before=$(lines vitro-store/ledger.jsonl)
    vitro robust small --final --json || complain "robust on test"
    [ "$(lines vitro-store/ledger.jsonl)" = "$before" ] || complain "robust judged again what the study had judged"
    says '"name": "again"' && says '"severity": 3' && says '"split": "test"'
    [ "$(grep -c '"pack":"shapes, corrupted"' vitro-store/ledger.jsonl)" = 3 ] || complain "openings are missing"
    [ "$(grep -c '"pack":"again"' vitro-store/ledger.jsonl)" = 3 ] || complain "openings of other data are missing"
}
what_was_judged_is_not_judged_again_and_other_shifts_need_a_reason() {
    local before
    before=$(lines vitro-store/ledger.jsonl)
    vitro robust small --final || complain "the same again"
    [ "$(lines vitro-store/ledger.jsonl)" = "$before" ] || complain "the ledger has grown"
    vitro robust small --final --shifts fog:4 && complain "a second look was let through"
    says "was judged on its test split before" err
    vitro robust small --final --shifts fog:4 --again "to test that" || complain "with a reason"
    vitro robust small --final || complain "back to the recipe's"
}
a_study_that_says_wise_has_its_curves_after_its_finals() {
    grep -q '"method":"full, wise"' vitro-store/ledger.jsonl && complain "wise without being asked for"
    local before
    sed 's/"training"/"wise": {"alphas": 3}, "training"/' recipe.json >wise.json
    vitro study run wise.json --final && complain "another recipe under the same name"
    says "has a study small with another recipe" err
    vitro study run wise.json --final --replace || complain "the study with wise"
    grep -q '"method":"full, wise","pack":"shapes"' vitro-store/ledger.jsonl || complain "wise is not in the ledger"
    before=$(lines vitro-store/ledger.jsonl)
    vitro study run wise.json --final || complain "once more"
    vitro study status small || complain "status"
    says "under shift: 3 of 3 judged as trained, 3 on their way from the backbone"
    vitro wise small --final --json || complain "wise as the recipe says"
    says '"head": "probe"'
    [ "$(lines vitro-store/ledger.jsonl)" = "$before" ] || complain "what was judged is judged again"
}
a_recipe_that_cannot_be_judged_on_is_refused_before_training() {
    sed 's/"name": "small"/"name": "not"/; s#builtin:shapes:4/4/12#builtin:count:4/4/12#' recipe.json >not.json
    vitro study run not.json --store nothing && complain "other classes"
    says "the shifts of the recipe: again has other classes than shapes" err
    [ ! -d nothing/results ] || complain "it was trained"
    sed 's/"shifts": .*/"wise": {},/' recipe.json >not.json
    vitro study run not.json --store nothing && complain "wise without shifts"
    says '"wise" needs "shifts"' err
}
alpha_curves_have_their_ends_and_a_control() {
    vitro wise small --final --alphas 1 && complain "one alpha"
    says "--alphas needs at least 2" err
    vitro wise small --final --alphas 3 --json || complain "wise"
    python3 - out <<'PYTHON' || complain "the ends"
import json, sys
rows = [m for m in json.load(open(sys.argv[1]))[0]["methods"] if m]
curves = [m for m in rows if m["how"] != "none"]
assert len(rows) == 3 and len(curves) == 2
assert all(m["control"]["id"][0] == rows[0]["control"]["id"][0] for m in rows)  # one backbone, one head
assert all(m["tuned_off"] == 0 and m["anchor_off"] < 1e-5 for m in curves)
for m in curves:  # weights and answers meet at both ends
    assert (m["id"][0], m["id"][-1], m["ood"][0], m["ood"][-1]) == tuple(m["control"][k][i] for k in ("id", "ood") for i in (0, -1))
PYTHON
    says '"how": "parameters"' && says '"how": "none"' && says "vpt cannot be interpolated with the backbone" &&
        says '"head": "probe"' && says '"control"'
    vitro wise small --final --alphas 3 || complain "wise as a table"
    says "note: vpt cannot be interpolated" && says "weights" && says "answers"
}
an_edited_answer_is_left_out_and_said() {
    local file at other
    cp -a vitro-store/shifts kept
    find vitro-store/shifts -name answers.safetensors >answers # of val and of test: compare reads those of test
    while read -r file; do
        at=$(($(stat -c %s "$file") - 3)) other='\001'
        [ "$(od -An -tu1 -j $at -N 1 "$file")" -ne 1 ] || other='\002' # another answer than was given
        printf '%b' "$other" | dd of="$file" bs=1 seek=$at conv=notrunc status=none
    done <answers
    vitro compare small || complain "compare"
    says "an answer under shift is left out"
    rm -r vitro-store/shifts && mv kept vitro-store/shifts
}
the_report_shows_them() {
    vitro report small || complain "report"
    for member in '"robustness":[{' '"wise":[{' '"id_low":[' '"effective":'; do
        says "$member" vitro-store/studies/small/report.html
    done
}
studies_side_by_side_keep_both_answers_where_they_are_to_the_same_images() {
    sed 's/"name": "small"/"name": "second"/; s/"linear", "vpt\[prompts=2\]", "full"/"linear", "bitfit"/' wise.json >second.json
    vitro study run second.json --final --again "another study" || complain "the second study"
    vitro report small second --output both.html || complain "both"
    grep -q "answers under shift of second are left out" both.html && complain "the second's are left out"
    python3 - both.html <<'PYTHON' || complain "not every method of both is in the table"
import json, re, sys
page = open(sys.argv[1]).read()
data = json.loads(re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', page, re.S).group(1))
for section in ("robustness", "wise"):
    assert len(data[section]) == 1 and len([m for m in data[section][0]["methods"] if m]) == 5, section
PYTHON
    vitro robust second --final --shifts snow:2 --again "to test that" || complain "other images"
    vitro compare small second || complain "compare"
    says "2 answers under shift of second are left out"
}
one_trained_method_is_judged_by_itself() {
    vitro train --data builtin:shapes:20/10/10 --image 32 --epochs 1 --batch 10 --method linear --split train --save probe.safetensors || complain "train"
    vitro train --data builtin:shapes:20/10/10 --image 32 --epochs 1 --batch 10 --method lora --split train --save lora.safetensors || complain "train"
    vitro wise lora.safetensors --probe probe.safetensors --shifts snow:1 --alphas 3 --store other --json || complain "wise"
    says '"anchor_off"' && says '"split": "val"'
    vitro robust lora.safetensors --shifts snow --store other || complain "robust"
    says "corrupted"
}
what_is_wrong_is_said() {
    vitro robust lora.safetensors --shifts fog:9 --store other && complain "fog:9"
    says "needs a severity from 1 to 5" err
    vitro robust lora.safetensors --shifts nowhere.pack --store other && complain "nowhere"
    says "nowhere.pack cannot be found" err
    vitro robust lora.safetensors --shifts builtin:count --store other && complain "other classes"
    says "has other classes" err
    vitro robust lora.safetensors --shifts fog:1,fog --store other && complain "twice"
    says "asked for twice" err
    vitro train --data builtin:shapes:20/10/10 --image 32 --epochs 1 --batch 10 --method bitfit --split trainval --save all.safetensors || complain "train"
    vitro wise all.safetensors --shifts fog:1 --store other && complain "trained on val"
    says "was trained on its val images too" err
}

failed=0
for sentence in a_study_is_judged_under_the_shifts_of_its_recipe \
    what_was_judged_is_not_judged_again_and_other_shifts_need_a_reason \
    a_study_that_says_wise_has_its_curves_after_its_finals a_recipe_that_cannot_be_judged_on_is_refused_before_training \
    alpha_curves_have_their_ends_and_a_control \
    an_edited_answer_is_left_out_and_said the_report_shows_them \
    studies_side_by_side_keep_both_answers_where_they_are_to_the_same_images one_trained_method_is_judged_by_itself what_is_wrong_is_said; do
    if said=$("$sentence" 2>&1) && [ -z "$said" ]; then
        echo "ok   $sentence"
    else
        echo "FAIL $sentence: $said"
        failed=1
    fi
done
exit $failed
