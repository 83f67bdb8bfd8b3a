#!/usr/bin/env bash
# No drawer for odds and ends: a file is named after what is in it. And the library takes its 64-bit atomics from
# `crate::state`, as some processors have none.
set -euo pipefail
cd "$(dirname "$0")/.."

found=$(find src tests examples benches fuzz/fuzz_targets heapdelta -regextype posix-extended \
    -regex '.*/(utils?|commons?|helpers?|misc)(\.rs|/.*)' 2>/dev/null || true)
if [[ -n $found ]]; then
    echo "layout: name these after what is in them:" >&2
    echo "$found" >&2
    exit 1
fi
atomics=$(grep -rlE 'std::sync::atomic::(\{[^}]*)?Atomic[UI]64' src | grep -vx src/state/atomic.rs || true)
if [[ -n $atomics ]]; then
    echo "layout: take the 64-bit atomics of crate::state, which are there on every processor:" >&2
    echo "$atomics" >&2
    exit 1
fi
lines=$(wc -l <src/lib.rs)
if ((lines > 200)); then
    echo "layout: src/lib.rs has $lines lines: it is the front page, and has no room for more than 200" >&2
    exit 1
fi
echo "layout: no util, common, helpers or misc; src/lib.rs has $lines lines"
