#!/usr/bin/env bash
# Type-checks the library for the platforms of the watcher's other siblings, and the tests that are run on other
# platforms. Nothing is run. `ci/cross.sh more` takes further systems, and a processor without 64-bit atomics, instead.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

targets=(x86_64-apple-darwin x86_64-unknown-freebsd x86_64-pc-windows-gnu)
more=(aarch64-linux-android aarch64-apple-ios x86_64-unknown-netbsd x86_64-unknown-illumos aarch64-pc-windows-msvc powerpc-unknown-linux-gnu)
if [[ ${1-} == more ]]; then
    for target in "${more[@]}"; do
        (
            rustup target list --installed 2>/dev/null | grep -qx "$target" ||
                missing_toolchain "$target" "rustup target add $target"
            cargo check --lib --features outbox --locked --target "$target"
            echo "cross: the library and its outbox type-check for $target (not run)"
        )
    done
    exit
fi

# All features but the providers of cryptography, which bring C for the target.
features=$(sed -n '/^\[features\]/,/^\[dep/s/^\([a-z0-9-]*\) = .*/\1/p' Cargo.toml |
    grep -vxE 'default|ring|aws-lc-rs' | paste -sd,)
for target in "${targets[@]}"; do
    # A shell of its own: where one target cannot be had, the others are still checked.
    (
        rustup target list --installed 2>/dev/null | grep -qx "$target" ||
            missing_toolchain "$target" "rustup target add $target"
        cargo check --lib --features "$features" --locked --target "$target"
        cargo check -p heapdelta --lib --locked --target "$target"
        echo "cross: both libraries type-check for $target (not run)"
    )
done

# The tests that `ci/platforms.sh` and `ci/wine.sh` run elsewhere compile with the few dependencies that they have there.
# Where the tools of `ci/wine.sh` are, it builds them itself.
if command -v x86_64-w64-mingw32-gcc >/dev/null; then exit; fi
export CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
small=$CARGO_TARGET_DIR/small
bash ci/small_package.sh "$small" core errors outbox
cargo check --manifest-path "$small/Cargo.toml" --features outbox,ring --test core --test errors --test outbox
echo "cross: the tests for other platforms compile"
