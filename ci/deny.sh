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
if [[ -n ${RUSTSEC_DB-} ]]; then
    mkdir -p target/advisories
    ln -sfn "$(realpath "$RUSTSEC_DB")" target/advisories/advisory-db-3157b0e258782691
    cargo deny --locked --offline check advisories
elif timeout 30 git ls-remote -q https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; then
    cargo deny --locked check advisories
else
    not_checked "advisories: the database of RustSec does not answer, and RUSTSEC_DB names no copy of it"
fi
