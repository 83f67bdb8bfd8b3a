#!/usr/bin/env bash
# Faults in one room, made by cargo-mutants, and whether the tests of that room fail: `ci/mutants.sh ROOM [K/N]`. With
# K/N every Nth mutant, beginning with the Kth (from 0): a random sample of fixed size, or one night of N. A mutant takes
# minutes, nearly all of them to compile it. The results are in `target/mutants/ROOM/mutants.out`.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

rooms="state watcher policy stream errors outbox/queue outbox/engine"
room="${1-}"
case "$room" in
state) tests=(--lib --test=state_model --test=core --test=metrics --test=tracing --test=loom) ;;
watcher | policy | stream) tests=(--lib --test=core --test=tls --test=timers) ;;
errors) tests=(--lib --test=errors --test=errors_alloc --test=core) ;;
outbox/queue) tests=(--lib --test=outbox --test=outbox_simulation) ;;
outbox/engine) tests=(--lib --test=outbox --test=outbox_simulation --test=store) ;;
*)
    echo "usage: ci/mutants.sh ROOM [K/N], where ROOM is one of: $rooms" >&2
    exit 2
    ;;
esac
cargo mutants --version >/dev/null 2>&1 || missing cargo-mutants "cargo install cargo-mutants --locked"

# A fifth of the histories of `cargo test`, for each mutant.
export HANGUP_SEEDS="${HANGUP_SEEDS:-400}"
output="${CARGO_TARGET_DIR:-target}/mutants/$room"
mkdir -p "$output"
shard=()
[[ -z "${2-}" ]] || shard=(--shard "$2" --sharding round-robin)
# As arguments of cargo, they limit the build too.
cargo mutants --package hangup --all-features --file "src/$room/**" "${shard[@]}" --output "$output" \
    "${tests[@]/#/--cargo-arg=}"
