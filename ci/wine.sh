#!/usr/bin/env bash
# Builds the library and its core tests for Windows, and runs them under Wine.
#
#   bash ci/wine.sh                    builds, and runs all of it
#   bash ci/wine.sh core closed::      one test program; what follows goes to it
#
# It needs wine64 and gcc-mingw-w64-x86-64 (Debian's packages), and `rustup target add x86_64-pc-windows-gnu`.
# `.ci/run` runs it beside the lints. Wine is not Windows: docs/platforms.md says which results are of Wine alone.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks

target=x86_64-pc-windows-gnu
wine=$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null) || missing wine64 "apt-get install wine64"
command -v x86_64-w64-mingw32-gcc >/dev/null ||
    missing x86_64-w64-mingw32-gcc "apt-get install gcc-mingw-w64-x86-64"
rustup target list --installed 2>/dev/null | grep -qx "$target" ||
    missing_toolchain "$target" "rustup target add $target"

export CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")/wine"
room=$CARGO_TARGET_DIR/package
programs=(core errors outbox)
bash ci/small_package.sh "$room" "${programs[@]}"

build=(cargo test --manifest-path "$room/Cargo.toml" --target "$target" --features outbox,ring --no-run)
for program in "${programs[@]}"; do build+=(--test "$program"); done
build+=(--lib)
"${build[@]}"
programs+=(hangup)

# A sandbox may lack what Wine itself needs.
export WINEPREFIX="$CARGO_TARGET_DIR/prefix" WINEDEBUG=-all
mkdir -p "$WINEPREFIX"
trap '"${wine%64}server" -k 2>/dev/null || true' EXIT
if ! timeout 300 "$wine" cmd /c exit 0 >/dev/null 2>&1; then
    not_checked "Windows: Wine does not start on this machine"
    exit 0
fi

# Wine before 9 lacks a library from which Rust's standard library takes random numbers.
mkdir -p "$CARGO_TARGET_DIR/bin"
if [[ ! -e $CARGO_TARGET_DIR/bin/bcryptprimitives.dll ]]; then
    x86_64-w64-mingw32-gcc -O2 -shared -o "$CARGO_TARGET_DIR/bin/bcryptprimitives.dll" -x c - -ladvapi32 <<'C'
__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *, unsigned long); /* RtlGenRandom */
__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *bytes, unsigned long long count) {
    return SystemFunction036(bytes, (unsigned long)count);
}
C
fi
export HANGUP_WINE=1 WINEPATH="$CARGO_TARGET_DIR/bin"

run() { # PROGRAM, ARGUMENTS
    local program=$1 built
    shift
    built=$(ls -t "$CARGO_TARGET_DIR/$target/debug/deps/$program"-*.exe | head -1)
    timeout 600 "$wine" "$built" "$@"
}
if (($#)); then
    run "$@"
    exit
fi
log=$(mktemp)
trap 'rm -f "$log"; "${wine%64}server" -k 2>/dev/null || true' EXIT
for program in "${programs[@]}"; do
    began=$SECONDS
    if ! run "$program" --show-output >"$log" 2>&1; then
        cat "$log"
        exit 1
    fi
    grep -E '^(skipped|test result|FIN to closed|handles)' "$log" | sort | uniq -c | sed 's/^ *1 //' || true
    echo "wine: $program passed in $((SECONDS - began)) s"
done
