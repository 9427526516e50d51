# shellcheck shell=bash disable=SC2034,SC2154 # the test that sources this sets `vitro` and reads `failed`
# study_tools.sh - sourced by the tests of whole studies: starts the program, compares stores. The test sets `vitro` (the
# program and how to start it) before it calls any of this.

failed=0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

complain() {
    echo "FAILED: $*"
    failed=1
}

# expect STATUS TEXT ARGUMENT...: the exit status of `vitro`, and a part of what it says; all of it stays in $said
expect() {
    local status=$1 text=$2 found=0
    shift 2
    said=$("${vitro[@]}" "$@" 2>&1 </dev/null) || found=$?
    if [ "$found" -ne "$status" ] || [[ $said != *"$text"* ]]; then
        complain "vitro $* gave $found instead of $status, or does not say \"$text\":"
        echo "$said"
    fi
}

# recipe NAME PACKS METHODS TRIALS SEEDS [MORE]: a small one on stdout; all but the first two are pieces of JSON
recipe() {
    cat <<END
{"schema": "vitro.recipe/1", "name": "$1", "backbones": [{"name": "micro", "model": "bundled"}],
 "packs": [$2], "methods": [$3], "tune": {"strategy": "random", "trials": $4}, "seeds": [$5],
 "training": {"epochs": 1, "warmup": 0, "batch": 16, "schedule": "plain"}${6:+, $6}}
END
}

# What of a store is the same wherever and however its study ran: all files of results but run.json, with their hashes.
fingerprints() {
    (cd "$1/results" && find . -type f ! -name run.json -exec sha256sum {} + | sort -k 2)
}

# Openings without what differs from run to run.
openings() {
    [ -f "$1/ledger.jsonl" ] || return 0
    sed -E 's/"(number|when|previous|sha256)":("[^"]*"|[0-9]+),?//g' "$1/ledger.jsonl" | sort
}

# Each line names the hash of the one before.
check_chain() {
    local line number=0 previous
    previous=$(printf '%064d' 0)
    [ -f "$1/ledger.jsonl" ] || return 0
    while IFS= read -r line; do
        number=$((number + 1))
        [[ $line == *"\"number\":$number,"* && $line == *"\"previous\":\"$previous\""* ]] ||
            complain "line $number of the ledger of $1 does not follow the one before"
        previous=$(printf %s "$line" | sha256sum | cut -d ' ' -f 1)
    done <"$1/ledger.jsonl"
    [ "$(openings "$1" | uniq -d | wc -l)" -eq 0 ] || complain "$1 has openings that stand in its ledger twice"
}

# check_store STORE: a finished one, by itself
check_store() {
    local before after found
    if [ -d "$1/work" ] && [ -n "$(ls -A "$1/work")" ]; then
        complain "something is left in $1/work:"
        find "$1/work" | head
    fi
    [ -z "$(find "$1" -name '*.tmp.*' -o -name progress.json -o -name '*.new.json')" ] ||
        complain "unfinished files are left: $(find "$1" -name '*.tmp.*' -o -name progress.json -o -name '*.new.json')"
    check_chain "$1"
    found=$(find "$1/results" -mindepth 2 -maxdepth 2 | wc -l)
    before=$("${vitro[@]}" db list --json -S "$1")
    expect 0 "unreadable  0" db rebuild -S "$1"
    after=$("${vitro[@]}" db list --json -S "$1")
    [ "$before" = "$after" ] || complain "the index of $1 is not what it is made anew from the results"
    [ "$(grep -c '"id":' <<<"$after")" -eq "$found" ] ||
        complain "the index of $1 holds $(grep -c '"id":' <<<"$after") of $found results"
}

# compare_stores ONE OTHER
compare_stores() {
    fingerprints "$1" >"$folder/one"
    fingerprints "$2" >"$folder/other"
    if ! diff "$folder/one" "$folder/other" >"$folder/differences"; then
        complain "the results of $1 and $2 differ:"
        head -20 "$folder/differences"
    fi
    openings "$1" >"$folder/one"
    openings "$2" >"$folder/other"
    diff "$folder/one" "$folder/other" >"$folder/differences" || {
        complain "$1 and $2 opened other test splits:"
        head -20 "$folder/differences"
    }
}
