#!/usr/bin/env bash
# Type-checks the library for the platforms of the watcher's other siblings. Nothing is run.
set -euo pipefail
cd "$(dirname "$0")/.."

# All features but the providers of cryptography, which bring C for the target.
features=$(sed -n '/^\[features\]/,/^\[dep/s/^\([a-z0-9-]*\) = .*/\1/p' Cargo.toml |
    grep -vxE 'default|ring|aws-lc-rs' | paste -sd,)
for target in x86_64-apple-darwin x86_64-unknown-freebsd x86_64-pc-windows-gnu; do
    if ! rustup target list --installed 2>/dev/null | grep -qx "$target" &&
        ! rustup target add "$target" >/dev/null 2>&1; then
        echo "skipped: $target: the target cannot be had here"
        continue
    fi
    cargo check --lib --features "$features" --locked --target "$target"
    cargo check -p heapdelta --lib --locked --target "$target"
    echo "cross: both libraries type-check for $target (not run)"
done
