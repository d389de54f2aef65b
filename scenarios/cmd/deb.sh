#!/bin/sh
# Makes a Debian package of a staged installation: deb.sh STAGE VERSION OUT.deb
# Its dependencies are the packages that own the libraries which the program loads on this system. Equal files give an equal package:
# the times in it are SOURCE_DATE_EPOCH, or that of the simulator's first virtual moment.
set -eu
stage=$1 version=$2 out=$3
folder=$(gcc -print-multiarch)
depends=$(objdump -p "$stage"/usr/bin/tollgate | sed -n 's/^ *NEEDED *//p' | while read -r lib; do
	dpkg-query -S "*/$folder/$lib" | sed -n '1s/:.*//p'
done | LC_ALL=C sort -u | paste -sd, | sed 's/,/, /g')
mkdir -p "$stage/DEBIAN"
cat > "$stage/DEBIAN/control" <<END
Package: tollgate
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: Tollgate developers <tollgate@localhost>
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Depends: $depends
Suggests: sqlite3, wireshark, tshark
Section: net
Priority: optional
Description: simulator of a secure IP telephony architecture
 A deterministic discrete-event simulator of cable telephony adapters, head-ends,
 Kerberos KDCs with PKINIT, signaling controllers, provisioning, billing and PSTN
 gateways. Elements exchange real encrypted messages; Lua scenarios script calls,
 provisioning and attacks; results are SQLite databases.
END
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-955324800}"
find "$stage" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group --build "$stage" "$out" > /dev/null
echo "$out"
