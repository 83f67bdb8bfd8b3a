#!/usr/bin/env bash
# Makes a package of the library and of some of its test programs, with no more development dependencies than they
# need: `ci/small_package.sh FOLDER core errors outbox`. It builds in a fraction of the time, for other platforms.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
room=$1
shift
mkdir -p "$room"

dev='bytes|fastrand|futures|futures-test|hdrhistogram|http-body-util|hyper|hyper-util|libc|nix|proptest|quinn|rcgen|rustix|seccompiler|tempfile|tokio|tokio-rustls|tokio-test|tokio-util|windows-sys'
{
    echo '[workspace]'
    awk -v dev="^($dev) = " '
        /^\[/ {
            section = $0
            keep = section ~ /^\[(package|features|dependencies|dev-dependencies|target\..*\.(dev-)?dependencies)\]$/
            if (keep) print
            next
        }
        !keep || /^(readme|include) = / { next }
        section ~ /dev-dependencies\]$/ && $0 !~ dev { next }
        { print }
        section == "[package]" && /^name = / { print "autotests = false\nautoexamples = false\nautobenches = false" }
    ' Cargo.toml
    printf '[lib]\npath = "%s/src/lib.rs"\n' "$root"
    for program in "$@"; do
        printf '[[test]]\nname = "%s"\npath = "%s/tests/%s/main.rs"\n' "$program" "$root" "$program"
    done
    sed -n '/^\[profile\.dev\]/,/^$/p; /^\[profile\.dev\.package\."\*"\]/,/^$/p' Cargo.toml
    printf '[lints.rust]\nunexpected_cfgs = { level = "warn", check-cfg = ["cfg(docsrs)", "cfg(hangup_fallback)"] }\n'
} >"$room/Cargo.toml"
# The versions are those of the project; what is not needed here is taken out of the copy.
cp Cargo.lock "$room/Cargo.lock"
