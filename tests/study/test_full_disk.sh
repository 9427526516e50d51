#!/usr/bin/env bash
# test_full_disk.sh VITRO...: a study whose disk is full says so in one sentence and ends with 7; with room again the same
# command comes to the same store. Skipped where no small disk can be had.
set -euo pipefail
if [ "${1:-}" != --mounted ]; then # a mount of our own, that is gone with us
    for how in -m -rm; do
        if unshare $how mount -t tmpfs none /mnt 2>/dev/null; then
            exec unshare $how bash "$0" --mounted "$@"
        fi
    done
    echo "neither root nor user namespaces: no small disk can be made"
    exit 77
fi
shift
vitro=("$@")
# shellcheck source=tests/study/study_tools.sh
. "$(dirname "$0")/study_tools.sh"
trap 'cd / && umount "$folder/disk" && rm -rf "$folder"' EXIT
cd "$folder"

recipe disk '"builtin:textures:48/16/64"' '"linear", "lora[r=4]"' 2 '0, 1' >recipe.json
expect 0 "4 tuning trials, 4 refits and 4 test evaluations are there" study run recipe.json -S roomy --final -j 2
check_store roomy

# leave KIB: so much room on the small disk
leave() {
    local free
    rm -f disk/filler
    free=$(df -k --output=avail disk | tail -1)
    [ "$free" -le "$1" ] || head -c $(((free - $1) * 1024)) /dev/zero >disk/filler
}

# With the least room no folder can be made; then the pack does not fit, then results.
mkdir disk
mount -t tmpfs -o size=16m none disk
full=0
for room in 0 40 200 440 520 600; do
    leave "$room"
    status=0
    "${vitro[@]}" study run recipe.json -S disk/store --final -j 2 >out 2>err </dev/null || status=$?
    [ $status -eq 0 ] && break
    full=$((full + 1))
    [ $status -eq 7 ] || complain "with $room KiB it ended with $status instead of 7: $(cat err)"
    [ "$(cat out err | grep -c .)" -eq 1 ] || complain "with $room KiB not one sentence: $(cat out err)"
    grep -q "No space left on device" err || complain "with $room KiB it does not say what is wrong: $(cat err)"
    echo "$room KiB: $(cat err)"
done
[ $full -ge 3 ] || complain "the disk was full $full times only"
[ -z "$(find disk/store/results -name result.json -exec grep -l '"outcome": *"failed"' {} + 2>/dev/null)" ] ||
    complain "a full disk counts as a trial's failure"
rm -f disk/filler
expect 0 "4 tuning trials, 4 refits and 4 test evaluations are there" study run recipe.json -S disk/store --final -j 2
check_store disk/store
compare_stores roomy disk/store

# A limit on the size of files is no other thing.
status=0
(ulimit -f 64 && "${vitro[@]}" study run recipe.json -S limited -j 2 >out 2>err </dev/null) || status=$?
[ $status -eq 7 ] || complain "with a limit on files it ended with $status instead of 7: $(cat err)"
grep -q "File too large" err || complain "with a limit on files it says: $(cat err)"
exit $failed
