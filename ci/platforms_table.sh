#!/usr/bin/env bash
# Compares the table of docs/platforms.md with the one by which the tests skip, tests/data/platforms.tsv.
# `ci/platforms_table.sh --write` makes it anew.
set -euo pipefail
cd "$(dirname "$0")/.."

made=$(mktemp)
trap 'rm -f "$made"' EXIT
awk -F'\t' '
    /^#/ { next }
    !names++ {
        print "| promise | Linux (epoll) | macOS, BSD (kqueue, not run) | Windows (AFD, not run) | Windows under Wine 8 | elsewhere (tick) |"
        print "|---|---|---|---|---|---|"
        next
    }
    { printf "| %s |", $2; for (i = 3; i <= 7; i++) printf " %s |", $i == "yes" ? "yes" : "no: " $i; print "" }
' tests/data/platforms.tsv >"$made"

doc=docs/platforms.md
new=$(awk -v made="$made" '
    /<!-- table: end -->/ { inside = 0 }
    !inside { print }
    /<!-- table: begin -->/ { inside = 1; while ((getline line < made) > 0) print line }
' "$doc")
if [[ ${1:-} == --write ]]; then
    printf '%s\n' "$new" >"$doc"
elif ! diff <(printf '%s\n' "$new") "$doc"; then
    echo "platforms: $doc is not what tests/data/platforms.tsv says: ci/platforms_table.sh --write" >&2
    exit 1
fi
# Each row is one that a test skips by.
while IFS=$'\t' read -r id _; do
    grep -rqE "lacks\(\s*\"$id\"" tests --include='*.rs' || grep -rqzE "lacks\(\s+\"$id\"" tests --include='*.rs' || {
        echo "platforms: no test asks for the row $id of tests/data/platforms.tsv" >&2
        exit 1
    }
done < <(grep -v '^#' tests/data/platforms.tsv | tail -n +2)
echo "platforms: the table is that of the tests"
