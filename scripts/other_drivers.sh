#!/usr/bin/env bash
# other_drivers.sh: two more Vulkan drivers below build/drivers, which the tests in tests/vendor look through:
#
#   radeon/icd.json        AMD's (RADV, of Mesa 25), which compiles for any AMD GPU that RADV_FORCE_FAMILY
#                          names, without one; Mesa 26.1 no longer does
#   swiftshader/icd.json   Google's software driver, out of Debian's chromium-common
#
# As scripts/driver.sh does, it fetches packages from the mirror that apt uses (50 MB) and only unpacks those
# two files. A driver that cannot be had or does not load costs a sentence, and its tests are skipped.
# By hand: VITRO_VULKAN_DRIVER=build/drivers/swiftshader/icd.json scripts/vitro devices
# shellcheck disable=SC2119
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

folder=$root/build/drivers
recipe=1 # what the folder was made by; raise it to have old ones made anew

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

loads() { # LIBRARY: whether all that it needs is found where programs will run
    local with libs
    with=$(launcher)
    if [ -n "$with" ]; then
        libs=$(dirname "$(find "$private/root/usr/lib" -maxdepth 2 -name 'ld-linux*.so.*' | head -1)")
        ! "$libs"/ld-linux*.so.* --library-path "$libs" --list "$1" 2>&1 | grep -qE 'not found|error'
    else
        ! ldd "$1" 2>&1 | grep -q 'not found'
    fi
}

# fetch TEMPORARY: the packages, from the first mirror that has them.
fetch() {
    local mirror
    while read -r mirror; do
        apt_sources "$1" "$mirror" < <(suites)
        if apt_private "$1" update; then
            cd "$1"
            apt_private "$1" download mesa-vulkan-drivers || true
            apt_private "$1" download chromium-common || true
            cd "$root"
            return 0
        fi
    done < <(mirrors)
    return 1
}

# unpack TEMPORARY NAME PACKAGE LIBRARY
unpack() {
    local library
    mkdir -p "$1/out/$2" "$1/$2"
    dpkg-deb --fsys-tarfile "$1/$3"_*.deb | tar -x -C "$1/$2" --wildcards "*/$4" || return 1
    library=$(find "$1/$2" -name "$4" | head -1)
    [ -n "$library" ] && loads "$library" || return 1
    mv "$library" "$1/out/$2/"
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
