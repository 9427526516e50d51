#!/usr/bin/env bash
# test_verb_db.sh VITRO: `vitro db` as a user meets it.
set -u
vitro=$1 failed=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

# expect STATUS TEXT ARGUMENT...: the exit status of `vitro db`, and a part of what it says
expect() {
    local status=$1 text=$2 said found
    shift 2
    said=$("$vitro" db "$@" 2>&1 </dev/null)
    found=$?
    if [ $found -ne "$status" ] || [[ $said != *"$text"* ]]; then
        echo "FAILED: vitro db $* gave $found instead of $status, or does not say \"$text\":"
        echo "$said"
        failed=1
    fi
}

# result DIGIT SEED BEGAN: one in the store, its id made of that digit
result() {
    local id
    id=$(printf "%064d" 0 | tr 0 "$1")
    mkdir -p "vitro-store/results/$1$1/$id"
    cat >"vitro-store/results/$1$1/$id/result.json" <<END
{"schema": "vitro.result/1", "id": "$id", "outcome": "done", "accuracy": 0.$2,
 "spec": {"stage": "tune", "name": "lora", "pack": {"name": "eurosat"}, "training": {"seed": "$2"}}}
END
    echo "{\"began\": \"$3\", \"seconds\": 1.5}" >"vitro-store/results/$1$1/$id/run.json"
}

expect 2 "rebuild, list or query is missing"
expect 2 "\"lsit\" is not understood" lsit
expect 2 "query needs a SELECT" query
expect 2 "one word too many" list all
expect 5 "there is no store vitro-store here" list
result a 25 2026-11-28T20:31:09Z
result b 75 2026-11-28T20:31:07Z
expect 0 $'bbbbbbbbbbbb  tune   lora    eurosat    75    75.0 %      1.5\naaaaaaaaaaaa' list # made when it is missing
expect 0 '"seed": 75' list --json
expect 0 $'pack     best\neurosat  0.75' query 'SELECT pack, max(accuracy) AS best FROM results GROUP BY pack'
expect 5 "more than read" query 'DELETE FROM results'
echo "this is no database; it is a text that is longer than a hundred bytes, as long as the header of one would be" \
    >vitro-store/index.sqlite
expect 5 "vitro db rebuild" list
echo "{" >vitro-store/results/aa/*/result.json
expect 0 $'results     1\nunreadable  1' rebuild
mv vitro-store elsewhere
expect 0 "bbbbbbbbbbbb" list --store elsewhere
exit $failed
