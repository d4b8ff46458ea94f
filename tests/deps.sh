#!/bin/sh
# Installs the Debian packages named as arguments that are missing. Where that
# is impossible, names them and fails.
set -eu
missing=
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
        grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

stuck() {
    echo "make deps: $1; install these packages by hand:$missing" >&2
    exit 1
}
command -v apt-get >/dev/null 2>&1 || stuck "this system has no apt-get"
sudo=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || stuck "neither root nor sudo"
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
echo "make deps: installing$missing"
$sudo apt-get update -q >/dev/null || stuck "apt-get update failed"
# shellcheck disable=SC2086
$sudo apt-get install -q -y --no-install-recommends $missing >/dev/null ||
    stuck "apt-get install failed"
