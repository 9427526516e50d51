#!/usr/bin/env bash
# test_verb.sh VITRO BAD_FOLDER: `vitro lint` as a user meets it.
set -u
vitro=$1 bad=$2 failed=0

# expect STATUS TEXT COMMAND...: the exit status, and a part of what it says
expect() {
    local status=$1 text=$2 said
    shift 2
    said=$("$@" 2>&1 </dev/null)
    local found=$?
    if [ $found -ne "$status" ] || [[ $said != *"$text"* ]]; then
        echo "FAILED: $* gave $found instead of $status, or does not say \"$text\":"
        echo "$said"
        failed=1
    fi
}

expect 0 "usage: vitro lint PLUGIN" "$vitro" lint --help
expect 0 "its own backward is the derivative of its forward" "$vitro" lint --list
expect 2 "PLUGIN is missing" "$vitro" lint
expect 5 "did you mean lora?" "$vitro" lint lorra
expect 5 "there is no check load_" "$vitro" lint lora --check load_
expect 0 "1 passed, 0 warnings, 0 skipped, 0 failed, 0 crashed; seed 7" "$vitro" lint lora --check load --seed 7
expect 1 "fail: backward:" "$vitro" lint "$bad/vitro_wrong_sign.so" --check backward
expect 1 "crashed: Segmentation fault" "$vitro" lint "$bad/vitro_crash_on_load.so" --check load
expect 1 "it was not done after 3 s" "$vitro" lint "$bad/vitro_hang_on_load.so" --check load --timeout 0.5
expect 0 "it names no paper" "$vitro" lint "$bad/vitro_no_paper.so" --check card
expect 1 '"result": "fail"' "$vitro" lint "$bad/vitro_wrong_sign.so" --check backward --json
"$vitro" lint lora --check card --check merge --json 2>/dev/null |
    python3 -c 'import json,sys
d=json.load(sys.stdin)
assert [c["check"] for c in d["checks"]] == ["card", "merge"], d
assert d["pass"] == 2 and d["fail"] == 0 and d["seed"] == 42 and d["plugin"] == "lora"' || failed=1
exit $failed
