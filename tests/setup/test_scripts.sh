#!/usr/bin/env bash
# test_scripts.sh SOURCE: the promises of scripts/, kept on a make-believe machine: a PATH in which
# apt-get, dpkg-query, sudo, id and glslang are ours. Each function's name is the sentence it proves.
# shellcheck disable=SC2317,SC2016 # promises are called by their names; make-believe programs stand in quotes
set -uo pipefail
source_folder=${1:?usage: test_scripts.sh SOURCE}
scripts=$source_folder/scripts
[[ $(type -P apt-get) ]] || exit 77 # the scripts are for machines with apt

machine=$(mktemp -d)
trap 'rm -rf "$machine"' EXIT
real_path=$PATH
unset VITRO_DRIVER VITRO_PRESET

# Every program of this machine but those that are make-believe.
mkdir "$machine/system"
IFS=: read -ra folders <<<"$PATH"
for folder in "${folders[@]}"; do
    ln -s "$folder"/* "$machine/system/" 2>/dev/null # the first of a name stays, as in a PATH
done
rm -f "$machine"/system/{apt-get,dpkg-query,sudo,id,glslang,glslangValidator}

# A machine as setup.sh leaves it: everything installed, driver and compiler new; apt-get only notes.
new_machine() {
    export PATH=$real_path
    rm -rf "${machine:?}"/{bin,apt,private,gpu}
    mkdir "$machine/bin"
    program apt-get "echo \"\$*\" >>$machine/apt"
    program dpkg-query 'case $* in *Version*) echo 26.1.6-1 ;; *) echo installed ;; esac'
    program glslang 'echo "Glslang Version: 11:15.1.0"'
    program glslangValidator 'echo "Glslang Version: 11:15.1.0"'
    program id 'echo 0'
    export PATH=$machine/bin:$machine/system VITRO_VULKAN_DIR=$machine/private/vulkan
}
program() { # NAME SCRIPT
    printf '#!/bin/bash\n%s\n' "$2" >"$machine/bin/$1"
    chmod +x "$machine/bin/$1"
}
lacks_package() { program dpkg-query "case \$* in *Version*) echo 26.1.6-1 ;; *' $1') ;; *) echo installed ;; esac"; }
old_driver() { # apt knows a mirror, which has nothing
    program dpkg-query 'case $* in *Version*) echo 22.3.6-1+deb12u2 ;; *) echo installed ;; esac'
    program glslang 'echo "Glslang Version: 10:12.0.0"'
    program apt-get "case \$1 in indextargets) . /etc/os-release; echo \"http://mirror.invalid \$VERSION_CODENAME main\" ;;
        *) echo \"\$*\" >>$machine/apt; exit 100 ;; esac"
}

# run EXIT_CODE COMMAND...: what it prints goes to $output
run() {
    local wanted=$1 got
    shift
    output=$("$@" 2>&1 </dev/null)
    got=$?
    [ "$got" = "$wanted" ] || { echo "exit code $got instead of $wanted from: $* ($output)" && return 1; }
}
says() { [[ $output == *"$1"* ]] || { echo "\"$output\" does not say \"$1\"" && return 1; }; }
apt_was_not_called() { [ ! -e "$machine/apt" ] || { echo "apt-get was called: $(cat "$machine/apt")" && return 1; }; }

every_script_is_clean() {
    local files=("$scripts"/* "$source_folder/.ci/run" "${BASH_SOURCE[0]}") file
    for file in "${files[@]}"; do
        bash -n "$file" || return 1
    done
    [[ ! $(type -P shellcheck) ]] || (cd "$source_folder" && shellcheck "${files[@]}")
}

a_complete_machine_is_left_alone() {
    run 0 "$scripts/setup.sh" && says ready && apt_was_not_called &&
        run 0 "$scripts/setup.sh" --check && says "everything is there" && apt_was_not_called &&
        [ ! -e "$machine/private" ]
}

check_names_what_is_missing_and_changes_nothing() {
    lacks_package libcmocka-dev
    run 1 "$scripts/setup.sh" --check && says "missing: libcmocka-dev" && apt_was_not_called || return 1
    old_driver
    run 1 "$scripts/setup.sh" --check && says "mesa-vulkan-drivers" && apt_was_not_called &&
        [ ! -e "$machine/private" ]
}

only_what_is_missing_is_installed() {
    lacks_package libcmocka-dev
    run 0 "$scripts/setup.sh" && says "installing 1 packages with apt: libcmocka-dev" &&
        grep -q ' update$' "$machine/apt" && grep -q ' install --no-install-recommends libcmocka-dev$' "$machine/apt"
}

without_root_or_sudo_the_remedy_is_named() {
    lacks_package libcmocka-dev
    program id 'echo 1000'
    run 3 "$scripts/setup.sh" && says "takes root or sudo: apt-get install libcmocka-dev" && apt_was_not_called
}

a_failed_installation_ends_the_set_up() {
    lacks_package libcmocka-dev
    program apt-get 'echo "E: no network" >&2; exit 100'
    run 1 "$scripts/setup.sh" && says "E: no network" && says '"apt-get update" failed'
}

without_a_newer_driver_one_sentence_says_the_cost() {
    old_driver
    run 0 "$scripts/driver.sh" && says "20 times slower and its glslang cannot compile cooperative" || return 1
    [ "$(wc -l <<<"$output")" = 2 ] || { echo "more than one sentence: $output" && return 1; }
    [ -z "$(find "$machine/private" -name 'vulkan*' -type d)" ] || { echo "half a driver is left" && return 1; }
    run 0 "$scripts/driver.sh" --check && says "can be had"
}

unknown_words_are_refused() {
    run 2 "$scripts/setup.sh" --chek && says usage && run 2 "$scripts/driver.sh" now && says usage &&
        VITRO_DRIVER=fast run 2 bash -c "source '$scripts/common.sh' && launcher" && says 'VITRO_DRIVER is "fast"'
}

# gpu NODE KERNEL_DRIVER MANIFEST: a machine with that device file and that Vulkan driver
gpu() {
    local root=$machine/gpu
    rm -rf "$root"
    mkdir -p "$root/dev/dri" "$root/sys/class/drm/renderD128/device" "$root/usr/share/vulkan/icd.d"
    : >"$root/dev/$1"
    ln -s "/bus/pci/drivers/$2" "$root/sys/class/drm/renderD128/device/driver"
    : >"$root/usr/share/vulkan/icd.d/$3"
    bash -c "source '$scripts/common.sh' && has_gpu '$root'"
}
a_gpu_counts_only_with_its_own_vulkan_driver() {
    gpu dri/renderD128 amdgpu radeon_icd.x86_64.json && gpu nvidiactl none nvidia_icd.json &&
        gpu dri/renderD128 xe intel_icd.x86_64.json && ! gpu dri/renderD128 amdgpu lvp_icd.x86_64.json &&
        ! gpu nvidiactl none lvp_icd.x86_64.json && ! gpu dri/renderD128 virtio-pci lvp_icd.x86_64.json &&
        ! gpu dri/card0 amdgpu radeon_icd.x86_64.json
}

with_vk_hands_on_arguments_exit_code_and_names() {
    local with_vk=$source_folder/build/vulkan/bin/with-vk
    [ -x "$with_vk" ] || return 0 # a machine that needs none
    export PATH=$real_path
    run 0 "$with_vk" "$(type -P printf)" '%s|' 'a b' '' "c'd" && [ "$output" = "a b||c'd|" ] &&
        run 7 "$with_vk" "$(type -P sh)" -c 'exit 7' &&
        run 0 "$with_vk" "$(type -P env)" && says "VITRO_EXE=$(readlink -f "$(type -P env)")" &&
        says "VITRO_LAUNCHER=$(readlink -f "$with_vk")" && run 127 "$with_vk" no-such-program && says no-such-program
}

failed=0
for promise in every_script_is_clean a_complete_machine_is_left_alone \
    check_names_what_is_missing_and_changes_nothing only_what_is_missing_is_installed \
    without_root_or_sudo_the_remedy_is_named a_failed_installation_ends_the_set_up \
    without_a_newer_driver_one_sentence_says_the_cost unknown_words_are_refused \
    a_gpu_counts_only_with_its_own_vulkan_driver with_vk_hands_on_arguments_exit_code_and_names; do
    new_machine
    if $promise; then
        echo "ok      $promise"
    else
        echo "NOT OK  $promise"
        failed=$((failed + 1))
    fi
done
exit $((failed > 0))
