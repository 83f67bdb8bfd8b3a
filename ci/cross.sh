#!/usr/bin/env bash
# Type-checks the library for the platforms of the watcher's other siblings. Nothing is run.
set -euo pipefail
cd "$(dirname "$0")/.."

for target in x86_64-apple-darwin x86_64-unknown-freebsd x86_64-pc-windows-gnu; do
    if ! rustup target list --installed 2>/dev/null | grep -qx "$target" &&
        ! rustup target add "$target" >/dev/null 2>&1; then
        echo "skipped: $target: the target cannot be had here"
        continue
    fi
    cargo check --lib --all-features --locked --target "$target"
    echo "cross: the library type-checks for $target (not run)"
done
