#!/usr/bin/env bash
# demo.sh [ARGUMENT...]: from nothing to a report: sets up, builds, and compares six methods on built-in tasks in a
# small study. The arguments go to `vitro demo`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

scripts/setup.sh
build_preset release vitro vitro_plugins
exec scripts/vitro demo "$@"
