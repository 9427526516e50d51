#!/usr/bin/env bash
# run.sh [SECONDS] [HARNESS...]: each harness of build/fuzz for so long, one after the other, from its corpus; what it
# finds is left in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
shift || true
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for file in tests/fuzz/fuzz_*.c; do
        name=${file##*/fuzz_}
        names+=("${name%.c}")
    done
fi
# Where an input's time grows with its length and nothing new comes of a long one, inputs are kept short.
declare -A longest=([image]=2048 [tokenizer]=256 [json]=4096)
mkdir -p build/fuzz/found
failed=0
for name in "${names[@]}"; do
    mkdir -p "build/fuzz/grown/$name"
    echo "== $name, $seconds seconds"
    nice "$(find build/fuzz -type f -name "fuzz_$name" -perm -u+x | head -1)" -max_total_time="$seconds" -rss_limit_mb=2048 \
        -max_len="${longest[$name]:-65536}" -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
        "build/fuzz/grown/$name" "tests/fuzz/corpus/$name" 2>&1 | grep -E 'stat::|ERROR|SUMMARY|cov:' | tail -8 ||
        failed=1 # what it found is printed; the others have their turn all the same
done
exit $failed
