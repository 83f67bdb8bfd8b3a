#!/usr/bin/env bash
# The tests of streams, the watcher and the outbox under ThreadSanitizer, with a standard library that is built for it.
# A report of a data race is a failure. It takes about ten minutes beside the build.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks
source ci/nightly

nightly_src=$(rustc "+$nightly" --print sysroot)/lib/rustlib/src/rust/library
[[ -d $nightly_src ]] ||
    missing_toolchain "ThreadSanitizer with $nightly" "rustup component add rust-src --toolchain $nightly"
target=x86_64-unknown-linux-gnu
CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/thread_sanitizer"
export CARGO_TARGET_DIR CARGO_INCREMENTAL=0
export RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=thread"
export TSAN_OPTIONS="suppressions=$PWD/ci/thread_sanitizer.txt ${TSAN_OPTIONS:-}"
echo "skipped: the models of the outbox's queue: they have one thread, and take minutes here"
# With the few dependencies of these tests, which are built for ThreadSanitizer alone.
bash ci/small_package.sh "$CARGO_TARGET_DIR/package" core outbox
test=(cargo "+$nightly" test --manifest-path "$CARGO_TARGET_DIR/package/Cargo.toml" --target "$target" -Zbuild-std
    --features codec,http,outbox,test-util,tls)
"${test[@]}" --no-run
begun=$SECONDS
"${test[@]}" --lib -- state:: monitor:: stream:: watcher:: observe::
"${test[@]}" --test core --test outbox -- --test-threads=4 --skip model::
echo "thread_sanitizer: no data race, in $((SECONDS - begun)) s beside the build"
