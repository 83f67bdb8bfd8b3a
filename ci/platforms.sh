#!/usr/bin/env bash
# Runs the core tests for other platforms on this machine: `ci/platforms.sh i686|musl|s390x`. Not a part of `.ci/run`.
#
#   i686    natively; gcc-multilib, rustup target add i686-unknown-linux-gnu
#   musl    natively; musl-tools, rustup target add x86_64-unknown-linux-musl
#   s390x   big endian, by qemu-user; qemu-user gcc-s390x-linux-gnu libc6-dev-s390x-cross,
#           rustup target add s390x-unknown-linux-gnu
#
# Windows is run by `ci/wine.sh`. docs/platforms.md has the results.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

skip=()
case ${1:-} in
i686) target=i686-unknown-linux-gnu needs=gcc ;;
musl) target=x86_64-unknown-linux-musl needs=musl-gcc ;;
s390x)
    target=s390x-unknown-linux-gnu needs=qemu-s390x
    export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc
    export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="qemu-s390x -L /usr/s390x-linux-gnu"
    export CC_s390x_unknown_linux_gnu=s390x-linux-gnu-gcc
    # The emulator does not filter the guest's calls, and does not pass every option of a socket.
    skip=(--skip no_tcp_info:: --skip the_error_queue_is_no_hang_up)
    echo "skipped: no_tcp_info, the_error_queue_is_no_hang_up: qemu-user lacks seccomp and time stamps"
    ;;
*)
    echo "usage: ci/platforms.sh i686|musl|s390x" >&2
    exit 2
    ;;
esac
command -v "$needs" >/dev/null || missing "$needs" "see the head of ci/platforms.sh"
rustup target list --installed 2>/dev/null | grep -qx "$target" ||
    missing_toolchain "$target" "rustup target add $target"

export CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/platforms"
bash ci/small_package.sh "$CARGO_TARGET_DIR/package" core errors outbox
cargo test --manifest-path "$CARGO_TARGET_DIR/package/Cargo.toml" --target "$target" --features outbox,ring --no-fail-fast \
    --test core --test errors --test outbox -- "${skip[@]}"
