#!/bin/sh
# Lets a PKCS#11 program that nobody here wrote judge the secure module's face: OpenSC's pkcs11-tool runs its own tests over the
# shared library. Its exit status is unreliable, so what counts is that it says "No errors" and reports no failed one.
set -eu
library=$1
out=$(pkcs11-tool --module "$library" --login --pin 1234 --token-label tollgate --test 2>&1) || true
if printf '%s\n' "$out" | grep -q '^No errors' && ! printf '%s\n' "$out" | grep -qE 'ERR:|error: '; then
	echo "pkcs11-tool: no errors"
else
	printf '%s\n' "$out"
	exit 1
fi
