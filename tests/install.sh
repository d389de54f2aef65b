#!/bin/sh
# Installs what is missing of the packages that the build and its tests need (Debian 12), as root or through sudo.
#   install.sh build   those for building only
set -eu
packages="gcc make pkg-config libssl-dev libsqlite3-dev liblua5.4-dev libp11-kit-dev"
[ "${1:-}" = build ] || packages="$packages check softhsm2 opensc openssl sqlite3 tshark xxd parallel chromium python3 python3-jsonschema libxml2-utils"
missing=
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing
