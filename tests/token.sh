#!/bin/sh
# SoftHSM2 in the place of the RSA part of the CTAs' secure modules: a secured call comes about, and its capture is the same byte for
# byte as with the built-in part.
#   token.sh TOLLGATE
set -eu
library=
for l in /usr/lib/*/softhsm/libsofthsm2.so /usr/lib/softhsm/libsofthsm2.so; do
	[ ! -f "$l" ] || library=$l
done
[ -n "$library" ] || { echo "token: no libsofthsm2.so"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tokens"
echo "directories.tokendir = $dir/tokens" > "$dir/softhsm2.conf"
SOFTHSM2_CONF=$dir/softhsm2.conf
export SOFTHSM2_CONF
softhsm2-util --init-token --free --label cta --so-pin 1234 --pin 1234 > /dev/null
scenario=scenarios/calls/cta_to_cta.lua
"$1" run $scenario talk=1s --pcap "$dir/built-in.pcapng" > /dev/null
TOLLGATE_PKCS11_MODULE=$library "$1" run $scenario talk=1s rsa_part=token --pcap "$dir/token.pcapng" > /dev/null
cmp "$dir/built-in.pcapng" "$dir/token.pcapng"
if "$1" run $scenario talk=1s rsa_part=token > "$dir/out" 2> "$dir/err"; then
	echo "token: a run without TOLLGATE_PKCS11_MODULE must fail"; exit 1
fi
grep -q 'cta_to_cta.lua:[0-9]*: .*rsa_part' "$dir/err" || { cat "$dir/err"; exit 1; }
echo "token: a call with SoftHSM2 as the RSA part puts the same bytes on the wire"
