#!/usr/bin/env bash
# The dependencies: their licenses, where they come from, and the advisories of RustSec against them.
#
# The advisories are fetched. Where they cannot be, `RUSTSEC_DB=DIRECTORY` names a checkout of
# https://github.com/rustsec/advisory-db; without it that part is not checked, and this says so.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

cargo deny --version >/dev/null 2>&1 || missing cargo-deny "cargo install cargo-deny --locked"
cargo deny --locked check --hide-inclusion-graph licenses bans sources

# RUSTSEC-2026-0009, in every lock file, those of programs that are not published too.
while read -r lock; do
    version=$(sed -n '/^name = "time"$/{n;s/^version = "\(.*\)"$/\1/p}' "$lock" | sort -V | head -1)
    if [[ -n $version && $(printf '%s\n' 0.3.47 "$version" | sort -V | head -1) != 0.3.47 ]]; then
        echo "deny: $lock has time $version, which an RFC 2822 date makes overflow its stack: cargo update -p time" >&2
        exit 1
    fi
done < <(git ls-files '*Cargo.lock')

if [[ -n ${RUSTSEC_DB-} ]]; then
    mkdir -p target/advisories
    ln -sfn "$(realpath "$RUSTSEC_DB")" target/advisories/advisory-db-3157b0e258782691
    cargo deny --locked --offline check advisories
elif timeout 30 git ls-remote -q https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; then
    cargo deny --locked check advisories
else
    not_checked "advisories: the database of RustSec does not answer, and RUSTSEC_DB names no copy of it"
fi
