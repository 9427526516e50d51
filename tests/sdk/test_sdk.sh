#!/usr/bin/env bash
# test_sdk.sh BUILD_FOLDER GLSLANG [LAUNCHER]: what `cmake --install` gives, as a stranger uses it: from a folder that was
# moved, with plugins of his own built outside of this tree. Each function's name is the sentence it proves.
# shellcheck disable=SC2317,SC2015 # the sentences are called by their names; `a && b || complain` means what it says
set -uo pipefail
usage="usage: test_sdk.sh BUILD_FOLDER GLSLANG [LAUNCHER]"
build=${1:?$usage} glslang=${2:?$usage} launcher=${3:-}
source=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/../..")

folder=$(mktemp -d)
folder=$(readlink -f "$folder")
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
export XDG_CACHE_HOME=$folder/cache XDG_DATA_HOME=$folder/data HOME=$folder/home LC_ALL=C
unset VITRO_PLUGIN_PATH VITRO_VULKAN_LOADER PKG_CONFIG_PATH CFLAGS LDFLAGS DESTDIR
prefix=$folder/moved/here
mkdir -p home

vitro() { ${launcher:+"$launcher"} "$prefix/bin/vitro" "$@"; }
complain() { echo "$*" && return 1; }
# run STATUS COMMAND...: what it prints goes to ./out and ./err.
run() {
    local wanted=$1 got
    shift
    "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$wanted" ] || complain "status $got instead of $wanted from: $* ($(head -c 600 err) $(tail -c 600 out))"
}
says() { grep -qF -- "$1" out || complain "stdout does not say \"$1\": $(head -c 900 out)"; }
is_silent_about() { ! grep -qF -- "$1" out || complain "stdout says \"$1\": $(head -c 900 out)"; }
complains_of() { grep -qF -- "$1" err || complain "stderr does not say \"$1\": $(head -c 600 err)"; }
exports_one_symbol() { # FILE
    [ "$(nm -D -P --defined-only "$1" | cut -d' ' -f1)" = vitro_plugin ] || complain "$1 exports $(nm -D --defined-only "$1")"
}
# plugin FOLDER NAME LINE...: a plugin of that name that declares nothing, with the lines in front.
plugin() {
    local to=$1 name=$2
    shift 2
    mkdir -p "$to"
    {
        printf '#include <vitro/method.h>\n'
        printf '%s\n' "$@"
        printf 'static int declare(void *self, vitro_decl *d) { (void)self, (void)d; return 0; }\n'
        printf 'const vitro_plugin_info vitro_plugin = {VITRO_HEAD, .id = "%s", .version = "2.5", ' "$name"
        printf '.summary = "made for a test", .declare = declare};\n'
    } >"$name.c"
    # shellcheck disable=SC2046 # several words are meant
    run 0 cc $(flags cflags) $(flags) "$name.c" -o "$to/vitro_$name.so" $(flags ldflags)
}
flags() { # nothing: where the headers are; else the variable of that name
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config "${1:+--variable=}${1:---cflags}" vitro
}

an_installed_tree_works_when_it_is_moved() {
    run 0 cmake --install "$build" --prefix "$folder/first" && mkdir -p moved && mv first "$prefix" || return 1
    run 0 vitro plugins && says "lora" && says "$prefix/lib/vitro/plugins/vitro_lora.so" && is_silent_about refused ||
        return 1
    ! grep -rIl -e "$folder/first" -e "$build" "$prefix" || complain "these files name the old place"
}

a_staged_tree_works_where_it_is_staged() {
    DESTDIR=$folder/stage run 0 cmake --install "$build" --prefix /usr || return 1
    local prefix=$folder/stage/usr
    run 0 vitro plugins && says "$prefix/lib/vitro/plugins/vitro_ssf.so"
}

the_build_folder_is_a_prefix_as_well() {
    mkdir -p intree && cp "$prefix"/share/vitro/tutorial/token_gate/* intree || return 1
    PKG_CONFIG_PATH=$build/lib/pkgconfig run 0 make -C intree && exports_one_symbol intree/vitro_token_gate.so
}

pkg_config_names_the_folders_and_the_version() {
    local found
    [ "$(readlink -f "$(flags pluginsdir)")" = "$prefix/lib/vitro/plugins" ] || complain "another folder: $(flags pluginsdir)" || return 1
    [ -x "$(flags program)" ] || complain "no program at $(flags program)" || return 1
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig run 1 pkg-config --exists 'vitro >= 1.999' || return 1
    found=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --modversion vitro)
    [[ $found == 1.* ]] || complain "its version is $found"
}

find_package_refuses_another_major_version() {
    mkdir -p another && printf 'cmake_minimum_required(VERSION 3.25)\nproject(x NONE)\n%s\n' \
        'find_package(Vitro 2.0 REQUIRED)' >another/CMakeLists.txt
    run 1 cmake -S another -B another/build -DCMAKE_PREFIX_PATH="$prefix" && complains_of "2.0"
}

# --- search path

each_kind_of_folder_is_searched_in_its_turn() {
    plugin data/vitro/plugins mine && plugin a one && plugin b two && plugin c three || return 1
    run 0 vitro plugins && says "vitro_mine.so" && says "vitro_lora.so" || return 1
    VITRO_PLUGIN_PATH=$folder/a run 0 vitro plugins && says "vitro_one.so" && is_silent_about "lora" &&
        is_silent_about "mine" || return 1
    VITRO_PLUGIN_PATH=$folder/a run 0 vitro plugins --plugin-path b:c && says "two" && says "three" && says "one" || return 1
    run 0 vitro plugins --plugin-path b --plugin-path c --json && says '"two"' && says '"three"' && says '"mine"' &&
        says "\"$prefix/lib/vitro/plugins\"" || return 1
    run 0 vitro plugins two --plugin-path b && says "made for a test" && says "2.5" || return 1
    run 5 vitro plugins two && complains_of "no plugin two" || return 1
    run 5 vitro plugins --plugin-path nowhere && complains_of "no folder nowhere"
}

the_same_folder_twice_is_no_conflict() {
    ln -sfn "$prefix/lib/vitro/plugins" again
    run 0 vitro plugins --plugin-path "again:$prefix/lib/vitro/plugins/." && is_silent_about refused &&
        run 0 vitro plugins lora --plugin-path again
}

two_plugins_of_one_id_are_named_both() {
    plugin d lora || return 1
    run 0 vitro plugins --plugin-path d && says "refused: " && says "$folder/d/vitro_lora.so" || return 1
    run 6 vitro plugins lora --plugin-path d && complains_of "$folder/d/vitro_lora.so" && complains_of "$prefix/lib" ||
        return 1
    run 0 vitro plugins ./d/vitro_lora.so && says "made for a test"
}

a_plugin_that_crashes_hangs_or_leaves_is_a_row() {
    local start='__attribute__((constructor)) static void start(void)'
    plugin e fine && plugin e crashes '#include <stdlib.h>' "$start { abort(); }" &&
        plugin e hangs '#include <unistd.h>' "$start { for (;;) pause(); }" &&
        plugin e leaves '#include <stdlib.h>' "$start { exit(0); }" &&
        plugin e prints '#include <stdio.h>' "$start { puts(\"heard\"); fflush(stdout); }" || return 1
    VITRO_PLUGIN_PATH=$folder/e run 0 vitro plugins && says "vitro_fine.so" && says "vitro_prints.so" &&
        is_silent_about "heard" && says "vitro_crashes.so: it crashed" && says "vitro_hangs.so: it was not done" &&
        says "vitro_leaves.so: it ended the process" || return 1
    run 6 vitro plugins ./e/vitro_crashes.so && complains_of "it crashed" || return 1
    run 6 vitro plugins ./e/vitro_leaves.so && complains_of "status 0"
}

a_card_shows_options_sites_and_size() {
    run 0 vitro plugins 'lora[r=4]' && says "QKV" && says "147,456" && says "1 8 16 32" && says "1 to 1024" || return 1
    run 0 vitro plugins lora --model bundled --json && says '"parameters": 20480' && says '"hooks": "QKV"' || return 1
    run 5 vitro plugins lora+ssf && complains_of "one at a time"
}

# --- plugins of one's own

a_new_plugin_builds_and_is_what_it_says() {
    run 0 vitro plugins new mine_too && says "PKG_CONFIG_PATH=$prefix/lib/pkgconfig make" && says "lint" || return 1
    ! grep -rn "template\|@[A-Z]" mine_too || complain "left from the original" || return 1
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig run 0 make -C mine_too CFLAGS="-Wall -Wextra -Wpedantic -Werror" &&
        exports_one_symbol mine_too/vitro_mine_too.so || return 1
    run 0 cmake -S mine_too -B mine_too/build -DCMAKE_PREFIX_PATH="$prefix" && run 0 cmake --build mine_too/build &&
        exports_one_symbol mine_too/build/vitro_mine_too.so || return 1
    run 0 vitro plugins ./mine_too/vitro_mine_too.so && says "9,216" && says "FC2" || return 1
    run 0 vitro lint ./mine_too/vitro_mine_too.so && says "0 warnings" || return 1
    run 0 make -C mine_too install PKG_CONFIG_PATH="$prefix/lib/pkgconfig" && run 0 vitro plugins mine_too
}

shipped_methods_build_against_the_installed_headers() {
    local method
    for method in lora ssf houlsby vpt convpass repadapter oft fact_tt gps; do
        run 0 cc $(flags cflags) $(flags) "$source/plugins/$method.c" -o "vitro_$method.so" $(flags ldflags) -lm &&
            exports_one_symbol "vitro_$method.so" || return 1
    done
    run 0 vitro lint ./vitro_houlsby.so --check backward
}

a_new_plugin_never_overwrites() {
    local name
    mkdir -p there && echo kept >there/file
    run 2 vitro plugins new there && complains_of "stays as it is" && [ "$(ls there)" = file ] || return 1
    for name in Mine my-plugin ../up "" "$(printf 'a%.0s' {1..32})" new; do
        run 2 vitro plugins new "$name" && [ ! -s out ] || complain "of \"$name\"" || return 1
    done
    run 2 vitro plugins new lora && complains_of "vitro_lora.so" && run 2 vitro plugins new || return 1
    run 0 vitro plugins new sub --directory deep/er && [ -f deep/er/sub/sub.c ]
}

the_tutorial_builds_with_cmake_and_with_make() {
    cp -r "$prefix/share/vitro/tutorial/token_gate" by_make && cp -r by_make by_cmake || return 1
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig run 0 make -C by_make CFLAGS="-Wall -Wextra -Wpedantic -Werror" &&
        exports_one_symbol by_make/vitro_token_gate.so || return 1
    run 0 cmake -S by_cmake -B by_cmake/build -DCMAKE_PREFIX_PATH="$prefix" && run 0 cmake --build by_cmake/build &&
        exports_one_symbol by_cmake/build/vitro_token_gate.so || return 1
    run 0 vitro plugins by_cmake/build/vitro_token_gate.so && says "18,456" && says "ATTN_OUT MLP_OUT"
}

the_tutorials_method_passes_lint() {
    run 0 vitro lint ./by_make/vitro_token_gate.so && says "0 warnings"
}

the_tutorials_method_trains() {
    vitro devices >out 2>err || { echo "not tried: $(cat err)" >&2 && return 0; }
    run 0 vitro train --method './by_cmake/build/vitro_token_gate.so[branches=mlp]' --data builtin:count:64/16/16 \
        --epochs 2 --warmup 0 --batch 16 --save gate.safetensors --json && says '"parameters"' || return 1
    run 0 vitro eval --load gate.safetensors
}

a_plugin_with_shaders_builds_and_is_used() {
    cp -r "$prefix/share/vitro/ssf_kernel" shaders || return 1
    run 0 cmake -S shaders -B shaders/build -DCMAKE_PREFIX_PATH="$prefix" -DVITRO_GLSLANG="$glslang" &&
        run 0 cmake --build shaders/build && exports_one_symbol shaders/build/vitro_ssf_kernel.so || return 1
    run 0 vitro lint ./shaders/build/vitro_ssf_kernel.so && says "2 modules" && says "0 warnings" || return 1
    vitro devices >out 2>err || { echo "not tried on a device: $(cat err)" >&2 && return 0; }
    run 0 vitro train --method ./shaders/build/vitro_ssf_kernel.so --data builtin:count:32/16/16 --epochs 1 \
        --warmup 0 --batch 16 && [ ! -s err ] || complain "it said: $(cat err)"
}

sentences=(an_installed_tree_works_when_it_is_moved a_staged_tree_works_where_it_is_staged
    the_build_folder_is_a_prefix_as_well pkg_config_names_the_folders_and_the_version
    find_package_refuses_another_major_version each_kind_of_folder_is_searched_in_its_turn
    the_same_folder_twice_is_no_conflict two_plugins_of_one_id_are_named_both
    a_plugin_that_crashes_hangs_or_leaves_is_a_row a_card_shows_options_sites_and_size
    a_new_plugin_builds_and_is_what_it_says shipped_methods_build_against_the_installed_headers
    a_new_plugin_never_overwrites
    the_tutorial_builds_with_cmake_and_with_make the_tutorials_method_passes_lint the_tutorials_method_trains
    a_plugin_with_shaders_builds_and_is_used)
failed=0
for sentence in "${sentences[@]}"; do
    if complaint=$("$sentence" 2>&1); then
        printf 'ok      %s\n' "$sentence"
    else
        printf 'FAILED  %s\n' "$sentence"
        failed=1
    fi
    [ -z "$complaint" ] || printf '        %s\n' "$complaint"
done
exit $failed
