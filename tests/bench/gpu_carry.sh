#!/usr/bin/env bash
# gpu_carry.sh FILE.tar.xz [BUILD]: what gpu_session.py needs of a release build (default build/release) on a machine
# that has neither compiler nor libraries, only a GPU's driver and python3: programs, plugins, and the shared
# libraries that they and the Vulkan loader need, without libc, which must be as new as this machine's. 100 MB, a third
# of that in the file. Then, there: python3 tests/bench/gpu_session.py --build FILE.tar.xz
set -euo pipefail
file=${1:?usage: gpu_carry.sh FILE.tar.xz [BUILD]}
build=${2:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/release}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder"/{bin,lib,plugins}
cp "$build"/bin/{vitro,bench_vit,bench_gemm} "$folder/bin/"
cp "$build"/plugins/*.so "$folder/plugins/"
loader=$(ldconfig -p | awk '/libvulkan\.so\.1 / { print $NF; exit }')
[ -n "$loader" ] || { echo "gpu_carry.sh: there is no Vulkan loader here; install libvulkan1" >&2; exit 1; }
cp "$loader" "$folder/lib/libvulkan.so.1"
ldd "$folder"/bin/* "$loader" | awk '/=> \// { print $3 }' | sort -u |
    grep -vE '/(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux[^/]*)\.so' | xargs -r cp -t "$folder/lib"
strip --strip-unneeded "$folder"/bin/* "$folder"/plugins/*.so
XZ_OPT=-1 tar -cJf "$file" -C "$folder" bin lib plugins
du -h "$file"
