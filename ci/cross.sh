#!/usr/bin/env bash
# Type-checks the library for the platforms of the watcher's other siblings. Nothing is run.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

targets=(x86_64-apple-darwin x86_64-unknown-freebsd x86_64-pc-windows-gnu)
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
