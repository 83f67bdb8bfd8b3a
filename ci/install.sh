#!/usr/bin/env bash
# Installs what the other steps need, and prints how long each part took.
set -euo pipefail
cd "$(dirname "$0")/.."
source ci/checks
source "${CARGO_HOME:-$HOME/.cargo}/env" 2>/dev/null || true

export DEBIAN_FRONTEND=noninteractive
as_root=()
[[ $(id -u) == 0 ]] || as_root=(sudo -n)

# Runs a command, and prints its time. Its output is printed only if it fails.
timed() { # WHAT, COMMAND
    local what=$1 began=$SECONDS log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        echo "install: $what: $((SECONDS - began)) s"
    else
        cat "$log" >&2
        echo "install: $what: failed after $((SECONDS - began)) s" >&2
        return 1
    fi
}

packages=()
for pair in cc:gcc chromium:chromium curl:curl git:git ip:iproute2 mosquitto_sub:mosquitto-clients openssl:openssl perl:perl python3:python3 unshare:util-linux; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
done
command -v wine64 >/dev/null || [[ -x /usr/lib/wine/wine64 ]] || packages+=(wine64)
command -v x86_64-w64-mingw32-gcc >/dev/null || packages+=(gcc-mingw-w64-x86-64-win32)
# Debian has it in a directory of the administrator's.
[[ -x /usr/sbin/mosquitto ]] || command -v mosquitto >/dev/null || packages+=(mosquitto)
apt() {
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" libc6-dev
}
install_packages() {
    timed "${packages[*]}" apt || missing "${packages[*]}" "apt-get install ${packages[*]}"
}
# The packages come beside what only the compiler needs, unless that needs one of them.
packages_pid=''
if ((${#packages[@]})); then
    if command -v cc >/dev/null && command -v curl >/dev/null; then
        install_packages &
        packages_pid=$!
    else
        install_packages
    fi
fi

rustup_init() {
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal
}
command -v cargo >/dev/null || timed Rust rustup_init || missing Rust https://rustup.rs
source "${CARGO_HOME:-$HOME/.cargo}/env" 2>/dev/null || true

# Toolchains and their parts. A step that lacks one says so itself.
toolchain() { # WHAT, COMMAND
    timed "$@" || ! toolchains_answer || exit 1
}
cargo fmt --version >/dev/null 2>&1 || toolchain rustfmt rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || toolchain clippy rustup component add clippy
nightly=$(sed -n 's/^nightly=//p' ci/nightly | head -1)
cargo "+$nightly" miri --version >/dev/null 2>&1 ||
    toolchain "$nightly" rustup toolchain install "$nightly" --profile minimal --component miri,rust-src --no-self-update
msrv=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
cargo "+$msrv" --version >/dev/null 2>&1 ||
    toolchain "Rust $msrv" rustup toolchain install "$msrv" --profile minimal --no-self-update
targets=$(sed -n 's/^targets=(\(.*\))$/\1/p' ci/cross.sh)
for target in $targets; do
    rustup target list --installed 2>/dev/null | grep -qx "$target" ||
        toolchain "$target" rustup target add "$target"
done

cargo hack --version >/dev/null 2>&1 || timed cargo-hack cargo install cargo-hack --locked
cargo fuzz --version >/dev/null 2>&1 || timed cargo-fuzz cargo install cargo-fuzz --locked
[[ -z $packages_pid ]] || wait "$packages_pid"
echo "install: all in $SECONDS s"
