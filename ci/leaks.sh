#!/usr/bin/env bash
# Nothing leaks: the leak tests of heapdelta, and those of each operation of the library. `ci/leaks.sh long` calls each
# operation ten times as often, and asks heapdelta for false alarms and missed leaks. `ci/leaks.sh heapdelta` leaves out the
# tests of the operations, which `ci/test.sh` runs too.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1-short}" in
short) ;;
heapdelta)
    cargo test --locked -p heapdelta --all-features
    exit
    ;;
long) export LEAKS=long ;;
*)
    echo "usage: ci/leaks.sh [short|long|heapdelta]" >&2
    exit 2
    ;;
esac
cargo test --locked -p heapdelta --all-features --no-run
cargo test --locked --all-features --test leaks --no-run
begun=$SECONDS
cargo test --locked -p heapdelta --all-features
cargo test --locked --all-features --test leaks
if [[ ${LEAKS-} == long ]]; then
    cargo run --locked --release -p heapdelta --example false_alarms -- 1000
    cargo run --locked --release -p heapdelta --example false_alarms -- 1000 load
    cargo run --locked --release -p heapdelta --example false_alarms -- 100 leak
fi
echo "leaks: none, in $((SECONDS - begun)) s beside the build"
