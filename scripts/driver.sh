#!/usr/bin/env bash
# driver.sh [--check]: a newer software Vulkan driver (Mesa's lavapipe) and shader compiler (glslang)
# below build/vulkan, where the distribution's own are too old. The system is not touched and no root
# is needed: packages of the next release are fetched from the mirror that apt already uses, and only
# unpacked. It makes
#
#   build/vulkan/bin/with-vk PROGRAM ...   runs PROGRAM on that loader, driver and libc
#   build/vulkan/bin/glslang, spirv-val    the newer shader tools
#   build/vulkan/layers/                   the validation layers that fit the driver
#
# Programs start through the private dynamic linker, so /proc/self/exe is that linker: with-vk exports
# VITRO_EXE (the program's path) and VITRO_LAUNCHER (its own path, to start further processes alike).
# Validation is off until asked for, by the program or with
#   VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation build/vulkan/bin/with-vk PROGRAM ...
# The sanitizers' leak check and stack traces come out wrong that way, as libasan takes the linker for the
# program. So CMake's VITRO_BIND_DRIVER (on in the presets asan and debug) links programs to the private
# linker; with-vk sees that and starts them directly.
#
# Taken is the first of the releases that newer_releases names whose Mesa is at least `mesa_better`, whole (libc
# included), though it may be from a distribution that is still moving: docs/performance.md says what that gives. A
# release that cannot be had, or whose driver does not pass tests/setup/driver_probe.c, is passed over, down to the
# first with `mesa_wanted`. VITRO_MESA=settled asks for that one at once.
#
# --check fetches nothing and exits 1 if the driver or the compiler is missing.
# shellcheck disable=SC2016,SC2119 # scripts are written in single quotes
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
source "$(dirname "${BASH_SOURCE[0]}")/packages.sh"

mesa_wanted=26    # the first whose compute code keeps uniform values scalar: 20 times Mesa 22's speed
mesa_better=26.2  # the first that compiles fma() to one instruction; docs/performance.md has what that gives
glslang_wanted=15 # the first with cooperative matrices
recipe=3          # what an unpacked folder was made by; raise it to have old ones made anew

usage() { die 2 "usage: scripts/driver.sh [--check]"; }

mesa_version() { dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null || true; }

# The major version of the compiler given, or 0; it says "Glslang Version: 11:15.1.0".
glslang_major() {
    local text
    text=$("$1" --version 2>/dev/null) || true
    [[ $text =~ Glslang\ Version:\ [0-9]+:([0-9]+)\. ]] && echo "${BASH_REMATCH[1]}" || echo 0
}

system_glslang_major() {
    local program
    program=$(command -v glslang || command -v glslangValidator) && glslang_major "$program" || echo 0
}

# Sets `packages` to what the machine lacks; empty: its own driver and compiler will do.
choose_packages() {
    local mesa
    packages=()
    mesa=$(mesa_version)
    mesa=${mesa#*:}
    mesa=${mesa%%.*}
    if [ "${VITRO_DRIVER:-auto}" != system ] && [ "${mesa:-0}" -lt $mesa_wanted ] &&
        { [ "${VITRO_DRIVER:-auto}" = software ] || ! has_gpu; }; then
        packages+=(mesa-vulkan-drivers libvulkan1 vulkan-validationlayers)
    fi
    # a GPU's own driver is used as it is, but stock glslang may still be too old for its kernels
    if [ "$(system_glslang_major)" -lt $glslang_wanted ]; then
        packages+=(glslang-tools)
    fi
}

is_complete() {
    local package
    [ "$(cat "$private/recipe" 2>/dev/null)" = $recipe ] || return 1
    [ "$(cut -d ' ' -f 3 "$private/release")" = "${VITRO_MESA:-}" ] || return 1
    for package in "${packages[@]}"; do
        grep -qx "$package" "$private/packages" || return 1
    done
}

# Prints the releases that may have newer packages, one a line, in the order of trust: "NAME SUITE:COMPONENTS...",
# all suites of a line together.
newer_releases() {
    case $(os_release ID) in
        debian) printf '%s\n' 'trixie-backports trixie:main trixie-backports:main' 'forky forky:main' 'sid sid:main' ;;
        ubuntu) echo 'resolute resolute:main,universe resolute-updates:main,universe' ;;
    esac
}

# lists FOLDER MIRROR SUITE:COMPONENTS...: fetches the lists of these suites; the last one is preferred.
lists() {
    local folder=$1 mirror=$2 suite
    shift 2
    for suite; do
        echo "${suite%%:*} $(tr , ' ' <<<"${suite#*:}")"
    done | apt_sources "$folder" "$mirror"
    apt_private "$folder" update
}

newest_suite() { awk 'END { print $4 }' "$1/apt/sources.list"; }

# The version of Mesa in the lists of FOLDER, without epoch and packaging: 26.2.6
mesa_in() {
    apt_program=apt-cache apt_private "$1" -o "APT::Default-Release=$(newest_suite "$1")" policy mesa-vulkan-drivers |
        sed -n 's/^ *Candidate: \([0-9]*:\)\?\([0-9.]*\).*/\2/p'
}

at_least() { # VERSION WANTED
    [ -n "$1" ] && dpkg --compare-versions "$1" ge "$2"
}

# The packages and all they need, libc included, into FOLDER/root.
unpack() {
    local deb
    apt_private "$1" -y -d --no-install-recommends -t "$(newest_suite "$1")" install "${packages[@]}" || return 1
    for deb in "$1"/apt/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$1/root" || return 1
    done
}

# What programs on this folder never load: other drivers, headers, documentation, translations.
prune() {
    local drivers
    drivers=$(find "$1/root/usr/lib" -name 'libvulkan_*.so' ! -name 'libvulkan_lvp.so')
    [ -z "$drivers" ] || xargs -r rm -f <<<"$drivers"
    rm -rf "$1/apt" "$1"/root/{etc,var,usr/include} "$1"/root/usr/lib/*/{gconv,*.a} \
        "$1"/root/usr/share/{doc,man,locale,lintian,bug}
}

# The three small files beside the unpacked root; each finds it by its own path, so the folder may move.
write_programs() {
    local folder=$1 libs tool
    libs=$(cd "$folder/root" && find usr/lib -maxdepth 2 -name 'ld-linux*.so.*' -printf '%h %f\n' | head -1)
    [ -n "$libs" ] || return 1
    mkdir -p "$folder/bin" "$folder/layers"
    # libLLVM looks for its libraries in $ORIGIN/../lib first, and would go on to the system's
    ln -s "$(basename "${libs% *}")" "$folder/root/usr/lib/lib"
    for tool in glslang spirv-val; do
        [ -e "$folder/root/usr/bin/$tool" ] || continue
        write_script "$folder/bin/$tool" "$libs" <<'S'
exec "$libs/$linker" --library-path "$libs" "$here/root/usr/bin/$(basename "$0")" "$@"
S
    done
    [ -e "$folder/root/${libs% *}/libvulkan_lvp.so" ] || return 0
    printf '{"file_format_version": "1.0.1", "ICD": {"library_path": "%s", "api_version": "1.4.0"}}\n' \
        "../root/${libs% *}/libvulkan_lvp.so" >"$folder/layers/lvp_icd.json"
    sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"../root/${libs% *}/libVkLayer_khronos_validation.so\"|" \
        "$folder/root/usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json" \
        >"$folder/layers/VkLayer_khronos_validation.json"
    write_script "$folder/bin/with-vk" "$libs" <<'S'
# with-vk PROGRAM [ARGUMENT...]: runs an ELF program on this folder's loader, software driver and libc.
[ $# -gt 0 ] || { echo "usage: with-vk PROGRAM [ARGUMENT...]" >&2; exit 2; }
program=$(command -v "$1") || { echo "with-vk: there is no program \"$1\"" >&2; exit 127; }
shift
VITRO_EXE=$(readlink -f "$program")
VITRO_LAUNCHER=$here/bin/with-vk
VK_DRIVER_FILES=$here/layers/lvp_icd.json
VK_LAYER_PATH=$here/layers
VK_LOADER_LAYERS_DISABLE='~implicit~' # the distribution's implicit layers are for its own driver
export VITRO_EXE VITRO_LAUNCHER VK_DRIVER_FILES VK_LAYER_PATH VK_LOADER_LAYERS_DISABLE
unset VK_ICD_FILENAMES VK_ADD_DRIVER_FILES
# linked to this folder's linker (VITRO_BIND_DRIVER): the kernel starts that by itself
head -c 4096 "$program" | grep -qaF "$libs/$linker" && exec "$program" "$@"
exec "$libs/$linker" --library-path "$libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$program" "$@"
S
}

write_script() { # FILE "FOLDER LINKER", the rest of the script on stdin
    {
        printf '#!/bin/sh\n# Made by scripts/driver.sh.\n'
        printf 'here=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
        printf 'libs=$here/root/%s\nlinker=%s\n' "${2% *}" "${2#* }"
        cat
    } >"$1"
    chmod +x "$1"
}

# Whether what was unpacked runs here: every library found, the linker starts, the compiler is new.
works() {
    local folder=$1 package driver linker
    for package in "${packages[@]}"; do
        case $package in
            glslang-tools) [ "$(glslang_major "$folder/bin/glslang")" -ge $glslang_wanted ] || return 1 ;;
            mesa-vulkan-drivers)
                "$folder/bin/with-vk" "$(type -P true)" || return 1
                driver=$(find "$folder/root/usr/lib" -name libvulkan_lvp.so)
                linker=$(find "$folder/root/usr/lib" -maxdepth 2 -name 'ld-linux*.so.*' | head -1)
                ! LD_TRACE_LOADED_OBJECTS=1 "$linker" --library-path "$(dirname "$driver")" "$driver" |
                    grep -q 'not found' || return 1
                computes "$folder" || return 1
                ;;
        esac
    done
}

# Whether the driver answers, compiles a shader and gets its numbers right. On a machine without a C compiler
# or Vulkan's headers nobody can tell yet, and nothing could be built either.
computes() {
    local folder=$1 probe=$1/probe
    [ -x "$folder/bin/glslang" ] && type -P cc >/dev/null || return 0
    mkdir "$probe"
    "$folder/bin/glslang" -V --target-env vulkan1.2 --vn probe_spirv -o "$probe/probe_spirv.h" \
        "$root/tests/setup/driver_probe.comp" || return 1
    echo '#include <vulkan/vulkan.h>' | cc -E - >/dev/null 2>&1 || return 0
    cc -O1 -I"$probe" -o "$probe/probe" "$root/tests/setup/driver_probe.c" -lvulkan || return 0
    MESA_SHADER_CACHE_DISABLE=true timeout 60 "$folder/bin/with-vk" "$probe/probe" || return 1
    rm -rf "$probe"
}

# try_release FOLDER MIRROR RELEASE MESA: makes FOLDER of a release whose Mesa is at least that, if packages of
# Mesa are wanted at all.
try_release() {
    local folder=$1 mirror=$2 name suites version
    read -r name suites <<<"$3"
    echo "--- $name of $mirror, Mesa $4 or newer"
    rm -rf "$folder"
    mkdir -p "$folder"
    # shellcheck disable=SC2086 # a list of words
    lists "$folder" "$mirror" $suites || return 1
    if [[ " ${packages[*]} " == *' mesa-vulkan-drivers '* ]]; then
        version=$(mesa_in "$folder")
        echo "its Mesa is ${version:-not there}"
        at_least "$version" "$4" || return 1
    fi
    unpack "$folder" || return 1
    prune "$folder"
    if ! write_programs "$folder" || ! works "$folder"; then
        echo "what was unpacked does not work"
        passed_over=$name # fetch_newer's
        return 1
    fi
    echo "$name ${version:-} ${VITRO_MESA:-}" >"$folder/release"
}

# Unpacks into a temporary folder beside `private` and puts it in place when it is whole.
fetch_newer() {
    local parent temporary mirror release mesa wanted got=''
    parent=$(dirname "$private")
    temporary=$(mktemp -d "$parent/vulkan.XXXXXX")
    # shellcheck disable=SC2064 # the folder of now, and the log that says what went wrong
    trap "rm -rf '$temporary'" EXIT
    passed_over=''
    case ${VITRO_MESA:-} in
        settled) wanted=($mesa_wanted) ;;
        *) wanted=($mesa_better $mesa_wanted) ;;
    esac
    for mesa in "${wanted[@]}"; do
        while read -r mirror; do
            while read -r release; do
                [ -z "$got" ] || continue
                ! try_release "$temporary/new" "$mirror" "$release" "$mesa" >>"$log" 2>&1 || got=$release
            done < <(newer_releases)
        done < <(mirrors)
    done
    [ -n "$got" ] || return 1
    printf '%s\n' "${packages[@]}" >"$temporary/new/packages"
    echo $recipe >"$temporary/new/recipe"
    chmod 755 "$temporary/new"
    rm -rf "$private"
    mv -T "$temporary/new" "$private" || is_complete # another run may have come first
}

# One sentence: what going on with the distribution's packages costs.
cost() {
    local mesa text='' slower=20
    mesa=$(mesa_version)
    [[ ${mesa#*:} =~ ^(2[45])\. ]] && slower=3
    case " ${packages[*]} " in
        *' mesa-vulkan-drivers '*) text="its Mesa (${mesa:-none installed}) computes about $slower times slower" ;;
    esac
    case " ${packages[*]} " in
        *' glslang-tools '*) text+="${text:+ and }its glslang cannot compile cooperative-matrix shaders" ;;
    esac
    printf '%s' "$text"
}

check_only=0
for argument; do
    case $argument in
        --check) check_only=1 ;;
        *) usage ;;
    esac
done
case ${VITRO_MESA:-} in
    '' | settled) ;;
    *) die 2 "VITRO_MESA is $VITRO_MESA; it can be \"settled\", or be left unset" ;;
esac
choose_packages
log=$(dirname "$private")/driver.log
unavailable=$private.unavailable # exists where a newer driver could not be had

if [ ${#packages[@]} -eq 0 ]; then
    [ $check_only = 1 ] || say "the machine's own Vulkan driver and glslang are used"
elif is_complete; then
    [ $check_only = 1 ] || say "newer ${packages[*]} are in ${private#"$root"/}"
elif [ $check_only = 1 ]; then
    if [ -e "$unavailable" ]; then
        say "no newer ${packages[*]} can be had: $(cost)"
    else
        say "missing: newer ${packages[*]} in ${private#"$root"/}"
        exit 1
    fi
else
    say "unpacking newer ${packages[*]} into ${private#"$root"/}"
    mkdir -p "$(dirname "$private")"
    : >"$log"
    if fetch_newer; then
        rm -f "$unavailable"
        say "they are of $(cut -d ' ' -f 1,2 "$private/release")${passed_over:+, as what $passed_over has does not work here}"
    else
        : >"$unavailable"
        warn "no newer ${packages[*]} could be had (${log#"$root"/} says why), so the distribution's are used: $(cost)."
    fi
fi
