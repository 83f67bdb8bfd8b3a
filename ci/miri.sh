#!/usr/bin/env bash
# Miri on what needs no socket: the unit tests, the state machine's model, unwatched streams.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks
source ci/nightly

cargo "+$nightly" miri --version >/dev/null 2>&1 ||
    missing_toolchain "Miri with $nightly" "rustup component add miri rust-src --toolchain $nightly"
export CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/miri"
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation"
echo "skipped: the watcher's unit tests: Miri has no poll(2) and no epoll"
echo "skipped: the unit tests of the page cache and of served files: Miri has no fadvise(2) and no preadv2(2)"
echo "skipped: the unit tests of errors and of the dead-peer timers: they walk large tables, and take minutes here"
echo "skipped: the unit tests of serve and of the store's file: Miri would build hyper and redb for them"
# With the few dependencies of these tests, which are built for Miri alone.
bash ci/small_package.sh "$CARGO_TARGET_DIR/package" core state_model
miri=(cargo "+$nightly" miri test --manifest-path "$CARGO_TARGET_DIR/package/Cargo.toml" --features codec,http,outbox,tls)
"${miri[@]}" --lib --test state_model -- \
    --skip watcher:: --skip errors:: --skip dead_peer:: --skip page_cache:: --skip serve::file::
"${miri[@]}" --test core -- forwarding::
