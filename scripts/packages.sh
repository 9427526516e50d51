# shellcheck shell=bash
# packages.sh - packages of another release, fetched without touching the system; sourced by the scripts
# that unpack drivers below build/.
# shellcheck disable=SC2016 # apt formats are given in single quotes

os_release() { (. /etc/os-release && eval "printf '%s' \"\${$1:-}\""); }

# Prints the mirrors of the distribution itself, as apt knows them, in apt's order.
mirrors() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
        awk -v name="$(os_release VERSION_CODENAME)" \
            '($2 == name || $2 ~ /^(stable|oldstable|testing)$/) && $3 == "main" && !seen[$1]++ { print $1 }'
}

# apt_sources FOLDER MIRROR: begins a state of its own for apt_private in FOLDER/apt; "SUITE COMPONENTS" a
# line on stdin.
apt_sources() {
    local folder=$1 mirror=$2 key suite components
    key=/usr/share/keyrings/$(os_release ID)-archive-keyring.gpg
    rm -rf "$folder/apt"
    mkdir -p "$folder"/apt/lists/partial "$folder"/apt/cache/archives/partial
    : >"$folder/apt/status"
    while read -r suite components; do
        printf 'deb [signed-by=%s] %s %s %s\n' "$key" "$mirror" "$suite" "$components"
    done >"$folder/apt/sources.list"
}

# apt_private FOLDER COMMAND...: apt-get, or $apt_program, with that state. The machine's settings (proxy, credentials) still
# count; its lists, preferences and installed packages do not.
apt_private() {
    local state=$1/apt arch
    shift
    arch=$(dpkg --print-architecture)
    "${apt_program:-apt-get}" -qq -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o Dir::State="$state" -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" -o Dir::Log="$state" -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Default-Release= \
        -o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=20 \
        -o Acquire::https::Timeout=20 "$@"
}
