#!/usr/bin/env bash
# The packaged crate has every file that its pages link to.
set -euo pipefail
cd "$(dirname "$0")/.."

packaged=$(cargo package --list --allow-dirty --locked)
dead=0
for page in README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs/*.md; do
    [[ -e $page ]] || continue
    folder=$(dirname "$page")
    while read -r link; do
        file=$(realpath -m --relative-to=. "$folder/${link%%#*}")
        if ! grep -qxF "$file" <<<"$packaged"; then
            echo "package: $page links to $link, which is not in the package" >&2
            dead=1
        fi
    done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](\(.*\))$/\1/' | grep -vE '^(https?:|#|mailto:)')
done
((dead == 0)) || exit 1
echo "package: $(wc -l <<<"$packaged") files, and no page links to one that is missing"
