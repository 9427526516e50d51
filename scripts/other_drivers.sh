#!/usr/bin/env bash
# other_drivers.sh: two more Vulkan drivers below build/drivers, which the tests in tests/vendor look through:
#
#   radeon/icd.json        AMD's (RADV, of Mesa 25), which compiles for any AMD GPU that RADV_FORCE_FAMILY
#                          names, without one; Mesa 26.1 no longer does
#   swiftshader/icd.json   Google's software driver, out of Debian's chromium-common
#
# As scripts/driver.sh does, it fetches packages from the mirror that apt uses (90 MB) and only unpacks those
# two files, with what they load that is not where programs run: other releases have another LLVM. A program finds
# that by LD_LIBRARY_PATH. A driver that cannot be had or does not load costs a sentence, and its tests are skipped.
# By hand: VITRO_VULKAN_DRIVER=build/drivers/swiftshader/icd.json scripts/vitro devices
# shellcheck disable=SC2119
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

folder=$root/build/drivers
recipe=2 # what the folder was made by; raise it to have old ones made anew

# name  package  the driver in it
drivers='
radeon       mesa-vulkan-drivers  libvulkan_radeon.so
swiftshader  chromium-common      libvk_swiftshader.so
'

[ $# = 0 ] || die 2 "usage: scripts/other_drivers.sh"

# The release whose Mesa is 25.
suites() {
    case $(os_release ID) in
        debian) echo 'trixie main' ;;
        ubuntu) printf 'noble%s main universe\n' '' -updates ;;
    esac
}

# lacks LIBRARY: what it needs, directly or not, that is neither where programs will run nor beside it; on stdout, a
# name a line. Fails if it cannot be loaded for another reason.
lacks() {
    local with libs beside says
    with=$(launcher) beside=$(dirname "$1")
    if [ -n "$with" ]; then
        libs=$(dirname "$(find "$private/root/usr/lib" -maxdepth 2 -name 'ld-linux*.so.*' | head -1)")
        # as ldd does; --list would stop at the first that is missing
        says=$(LD_TRACE_LOADED_OBJECTS=1 "$libs"/ld-linux*.so.* --library-path "$libs:$beside" "$1" 2>&1) || true
    else
        says=$(LD_LIBRARY_PATH=$beside ldd "$1" 2>&1) || true
    fi
    sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' <<<"$says"
    ! grep -v '=> not found$' <<<"$says" | grep -E 'not found|error'
}

# complete LIBRARY ROOT: puts beside the library what it lacks, out of a whole system unpacked in ROOT.
complete() {
    local name found
    while name=$(lacks "$1" | head -1) && [ -n "$name" ]; do
        found=$(find "$2" -name "$name" | head -1)
        [ -n "$found" ] || return 1
        cp -L "$found" "$(dirname "$1")/$name"
    done
    lacks "$1"
}

# fetch TEMPORARY: the packages, from the first mirror that has them.
fetch() {
    local mirror
    while read -r mirror; do
        apt_sources "$1" "$mirror" < <(suites)
        if apt_private "$1" update; then
            cd "$1"
            apt_private "$1" -y -d --no-install-recommends install mesa-vulkan-drivers || true
            apt_private "$1" download chromium-common || true
            mv "$1"/apt/cache/archives/*.deb "$1" || true
            cd "$root"
            return 0
        fi
    done < <(mirrors)
    return 1
}

# unpack TEMPORARY NAME PACKAGE LIBRARY
unpack() {
    local library deb
    mkdir -p "$1/out/$2" "$1/$2"
    dpkg-deb --fsys-tarfile "$1/$3"_*.deb | tar -x -C "$1/$2" --wildcards "*/$4" || return 1
    library=$(find "$1/$2" -name "$4" | head -1)
    [ -n "$library" ] || return 1
    mv "$library" "$1/out/$2/"
    library=$1/out/$2/$4
    if [ -n "$(lacks "$library")" ] && [ ! -e "$1/system" ]; then
        for deb in "$1"/*.deb; do
            [[ $deb == */chromium-* ]] || dpkg-deb -x "$deb" "$1/system" || return 1
        done
    fi
    complete "$library" "$1/system" || return 1
    printf '{"file_format_version": "1.0.1", "ICD": {"library_path": "./%s", "api_version": "1.3.0"}}\n' \
        "$4" >"$1/out/$2/icd.json"
}

[ "$(cat "$folder/recipe" 2>/dev/null)" != $recipe ] || exit 0
say "unpacking other Vulkan drivers for the tests into ${folder#"$root"/}"
mkdir -p "$root/build"
temporary=$(mktemp -d "$root/build/drivers.XXXXXX")
trap 'rm -rf "$temporary"' EXIT
log=$root/build/other_drivers.log
mkdir "$temporary/out"
fetch "$temporary" >"$log" 2>&1 || true
complete=1
while read -r name package library; do
    [ -n "$name" ] || continue
    if ! unpack "$temporary" "$name" "$package" "$library" >>"$log" 2>&1; then
        rm -rf "$temporary/out/$name"
        complete=0
        warn "the driver $name could not be had (${log#"$root"/} says why): its tests are skipped"
    fi
done <<<"$drivers"
[ $complete = 0 ] || echo $recipe >"$temporary/out/recipe" # else the next run tries again
chmod 755 "$temporary/out"
rm -rf "$folder"
mv -T "$temporary/out" "$folder"
