# shellcheck shell=bash disable=SC2119
# common.sh - what the scripts share; sourced by them, never run.

# shellcheck disable=SC2034 # the scripts that source this file use them
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
private=${VITRO_VULKAN_DIR:-$root/build/vulkan} # the newer driver and shader compiler, see driver.sh

me=$(basename "$0")
say() { printf '%s: %s\n' "$me" "$*"; }
warn() { say "$@" >&2; }
die() { # die CODE SENTENCE: 1 a step failed, 2 wrong usage, 3 what setup.sh needs is missing, 127 no program
    local code=$1
    shift
    warn "$@"
    exit "$code"
}

# has_gpu [SYSROOT]: whether a hardware GPU is here that this user may open and whose own Vulkan
# driver is installed. A GPU without a driver counts as none: the software driver is used then.
# shellcheck disable=SC2120 # only the test gives a SYSROOT
has_gpu() {
    local sys=${1:-} node icd
    local manifests=("$sys"/{etc,usr/share,usr/local/share}/vulkan/icd.d)
    for node in "$sys"/dev/nvidiactl "$sys"/dev/dri/renderD*; do
        [[ -r $node && -w $node ]] || continue
        case $(gpu_kernel_driver "$sys" "$node") in # kernel driver -> its Vulkan driver's manifest
            nvidia) icd='nvidia_icd*' ;;
            nouveau) icd='nouveau_icd*' ;;
            amdgpu) icd='radeon_icd*|amd_icd*' ;;
            i915 | xe) icd='intel_icd*' ;;
            msm) icd='freedreno_icd*' ;;
            v3d) icd='broadcom_icd*' ;;
            panfrost | panthor) icd='panfrost_icd*' ;;
            asahi) icd='asahi_icd*' ;;
            virtio-pci | virtio_gpu) icd='virtio_icd*' ;;
            *) continue ;;
        esac
        manifest_exists "$icd" "${manifests[@]}" && return 0
    done
    return 1
}

gpu_kernel_driver() { # SYSROOT NODE
    case $2 in
        */nvidiactl) echo nvidia ;;
        *) basename "$(readlink "$1/sys/class/drm/$(basename "$2")/device/driver" 2>/dev/null)" ;;
    esac
}

manifest_exists() { # 'GLOB|GLOB' FOLDER...
    local globs glob folder
    IFS='|' read -ra globs <<<"$1"
    shift
    for folder; do
        for glob in "${globs[@]}"; do
            compgen -G "$folder/$glob" >/dev/null && return 0
        done
    done
    return 1
}

# launcher: prints the program that others must be started through, or nothing.
# VITRO_DRIVER=system never takes the newer software driver, =software takes it even beside a GPU.
launcher() {
    case ${VITRO_DRIVER:-auto} in
        system) return 0 ;;
        software) ;;
        auto) ! has_gpu || return 0 ;;
        *) die 2 "VITRO_DRIVER is \"$VITRO_DRIVER\"; it can be auto, system or software" ;;
    esac
    [ ! -x "$private/bin/with-vk" ] || printf '%s\n' "$private/bin/with-vk"
}

# build_preset PRESET [TARGET...]: configures and builds; all of it without a target.
build_preset() {
    local preset=$1
    shift
    cmake --preset "$preset" -Wno-dev --log-level=WARNING || die 1 "configuring the preset $preset failed"
    cmake --build --preset "$preset" ${1:+--target "$@"} || die 1 "building the preset $preset failed"
}
