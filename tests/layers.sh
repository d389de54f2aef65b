#!/bin/sh
# The direction of includes: each layer may include its own headers and those of the layers named here, and nothing else of
# this tree. crypto/internal.h, where key bytes can be reached, is crypto's alone.
set -eu
bad=0
check() { # FOLDER ALLOWED-PREFIXES...
	folder=$1; shift
	allowed=$(printf '|%s' "$@" | cut -c2-)
	for f in $(find "$folder" -maxdepth 1 -name '*.[ch]'); do
		if grep -nE '^#include "' "$f" | grep -vE "#include \"($allowed)/[a-z0-9_]+\.h\""; then
			echo "layers: $f includes what $folder may not"; bad=1
		fi
	done
}
check sim sim
check crypto crypto
check models/wire models/wire
check models models models/wire crypto sim
[ ! -d reports ] || check reports reports sim
[ ! -d scenarios/host ] || check scenarios/host scenarios/host reports models crypto sim
outside() { # PATTERN FOLDERS: the pattern may not be included there
	pattern=$1; shift
	if grep -rnE "^#include .*($pattern)" "$@" --include='*.[ch]'; then
		echo "layers: $pattern is not for $*"; bad=1
	fi
}
outside 'crypto/internal\.h' models sim reports scenarios
outside 'lua|sqlite3' sim crypto models
outside 'openssl' sim
exit $bad
