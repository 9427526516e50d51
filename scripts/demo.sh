#!/usr/bin/env bash
# demo.sh [ARGUMENT...]: from nothing to a table: sets up, builds, and fine-tunes the bundled model with
# seven methods on the built-in tasks. The arguments go to `vitro demo`.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$root"

scripts/setup.sh
build_preset release vitro vitro_plugins
exec scripts/vitro demo "$@"
