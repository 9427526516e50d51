#!/usr/bin/env bash
# setup.sh [--check] [--dev]: installs what building, testing and running Vitro need, and nothing that
# is there already. Packages come from apt, as root or through sudo; where the distribution's software
# Vulkan driver or shader compiler is too old, scripts/driver.sh then unpacks newer ones below build/.
#   --check   change nothing; name what is missing and exit 1 if anything is
#   --dev     also what a contributor needs: clang-format, clang-tidy, shellcheck
# Package names are those of Debian 12, Debian 13 and Ubuntu 24.04.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# package  what shows that it is there: a command, or "-" for dpkg's word
needs='
gcc                       cc
g++                       c++
cmake                     cmake
ninja-build               ninja
make                      make
pkg-config                pkg-config
libcjson-dev              -
libsqlite3-dev            -
libjs-d3                  -
libpng-dev                -
libjpeg-dev               -
libarchive-dev            -
libzip-dev                -
libssl-dev                -
zlib1g-dev                -
libunistring-dev          -
liblapacke-dev            -
libopenblas-serial-dev    -
libcmocka-dev             -
xz-utils                  xz
libvulkan-dev             -
libvulkan-volk-dev        -
libvulkan1                -
mesa-vulkan-drivers       -
vulkan-validationlayers   -
glslang-tools             glslangValidator
spirv-tools               spirv-val
'
needs_of_contributors='
clang-format              clang-format
clang-tidy                clang-tidy
shellcheck                shellcheck
'
cmake_wanted=3.25

usage() { die 2 "usage: scripts/setup.sh [--check] [--dev]"; }

is_there() { # PACKAGE COMMAND
    [ "$2" = - ] || { command -v "$2" >/dev/null && return 0; }
    [ "$(dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | head -1)" = installed ]
}

# Sets `missing` to the packages of the tables given that are not there.
find_missing() {
    local package command
    missing=()
    while read -r package command; do
        [ -z "$package" ] || is_there "$package" "$command" || missing+=("$package")
    done <<<"$*"
}

# Runs apt-get as root: its talk goes to the log, and its end to the reader if it fails.
apt() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo)
        [ -t 0 ] || as_root+=(-n) # nobody is there to type a password
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@" \
        >>"$log" 2>&1 && return 0
    tail -n 15 "$log" >&2
    die 1 "\"apt-get $1\" failed; its last lines are above, all of them in $log"
}

install_missing() {
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        die 3 "packages are missing, and installing them takes root or sudo: apt-get install ${missing[*]}"
    fi
    say "installing ${#missing[@]} packages with apt: ${missing[*]}"
    mkdir -p "$root/build"
    log=$root/build/setup.log
    : >"$log"
    apt update
    apt install --no-install-recommends "${missing[@]}"
}

require_cmake() {
    local version
    version=$(cmake --version | awk 'NR == 1 { print $3 }')
    [ "$(printf '%s\n' $cmake_wanted "$version" | sort -V | head -1)" = $cmake_wanted ] ||
        die 3 "cmake is $version and must be $cmake_wanted or newer; Debian 12, Debian 13 and Ubuntu 24.04 have it"
}

check_only=0
for argument; do
    case $argument in
        --check) check_only=1 ;;
        --dev) needs+=$needs_of_contributors ;;
        *) usage ;;
    esac
done
[[ $(type -P apt-get) && $(type -P dpkg-query) ]] ||
    die 3 "this set-up speaks apt (Debian 12, Debian 13, Ubuntu 24.04); elsewhere install by hand what scripts/setup.sh lists"
find_missing "$needs"

if [ $check_only = 1 ]; then
    result=0
    if [ ${#missing[@]} -gt 0 ]; then
        say "missing: ${missing[*]}"
        result=1
    fi
    "$root/scripts/driver.sh" --check || result=1
    [ $result = 1 ] || say "everything is there"
    exit $result
fi

[ ${#missing[@]} -eq 0 ] || install_missing
require_cmake
"$root/scripts/driver.sh"
say "ready"
