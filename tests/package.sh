#!/usr/bin/env bash
# The Debian package installs and runs, the manual page and the completion know all that the program's own help knows:
#   package.sh TOLLGATE.deb VERSION
# As root, on a system that has no tollgate, the package is installed for real and removed again.
set -euo pipefail
deb=$1 version=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "package: $*" >&2; exit 1; }

# Runs a program as a newcomer has it: no environment, another folder, scenarios found beside it.
try() { # ROOT-OF-INSTALLATION
	cd /
	run="env -i HOME=$work PATH=/usr/bin:/bin $1/usr/bin/tollgate"
	[ "$($run --version)" = "tollgate $version" ] || fail "--version says $($run --version)"
	$run list scenarios > "$work/said"
	grep -q "calls/cta_to_cta.lua" "$work/said" || fail "the installed scenarios are not listed"
	$run run "$1/usr/share/tollgate/scenarios/calls/cta_to_cta.lua" -o "$work/call.db" > "$work/said" || { cat "$work/said"; fail "the call failed"; }
	$run ladder "$work/call.db" > "$work/said"
	grep -q INVITE "$work/said" || fail "no ladder"
	cd - > /dev/null
}

dpkg-deb -x "$deb" "$work/root"
try "$work/root"
for lib in $(ldd "$work/root/usr/bin/tollgate" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p'); do
	folder=${lib%/*}
	owner=$(dpkg-query -S "*/${folder##*/}/${lib##*/}" | sed -n '1s/:.*//p')
	grep -qw -- "$owner" <<< "$(dpkg-deb -f "$deb" Depends)" || case $owner in libgcc-s1|zlib1g) ;; *) fail "depends not on $owner ($lib)" ;; esac
done
if [ "$(id -u)" = 0 ] && ! dpkg-query -W tollgate > /dev/null 2>&1; then
	dpkg -i "$deb" > /dev/null
	trap 'dpkg -r tollgate > /dev/null; rm -rf "$work"' EXIT
	try ""
	dpkg -r tollgate > /dev/null
	trap 'rm -rf "$work"' EXIT
	[ ! -e /usr/bin/tollgate ] || fail "something is left after the removal"
	echo "package: installed, ran, removed"
fi

tollgate="$work/root/usr/bin/tollgate"
page=$(zcat -f "$work/root/usr/share/man/man1/tollgate.1" | sed 's/\\-/-/g')
verbs=$("$tollgate" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ -n "$verbs" ] || fail "the help names no verb"
for verb in $verbs; do
	grep -qE "tollgate $verb|^\.B $verb" <<< "$page" || fail "the manual page knows no verb $verb"
	grep -qi '^example' <<< "$("$tollgate" "$verb" --help)" || fail "tollgate $verb --help shows no example"
	for option in $("$tollgate" "$verb" --help | sed -n 's/^  \(-.*\)/\1/p' | grep -o -- '--[a-z][a-z-]*' | sort -u); do
		grep -q -- "$option" <<< "$page" || fail "the manual page knows no $option of $verb"
	done
done

# Completion, as bash calls it: the words after the program's name; the last one is being typed.
. "$work/root/usr/share/bash-completion/completions/tollgate"
complete_words() { COMP_WORDS=("$tollgate" "$@"); COMP_CWORD=$#; COMPREPLY=(); _tollgate 2>/dev/null || true; printf '%s\n' "${COMPREPLY[@]}"; }
expect() { # WANTED WORDS...
	wanted=$1; shift
	grep -qxF -- "$wanted" <<< "$(complete_words "$@")" || fail "completion of \"$*\" lacks $wanted: $(complete_words "$@" | tr '\n' ' ')"
}
expect run r
expect --keylog run --k
expect ladder lad
expect switch.sc.replay_cache= run scenarios/attacks/ap_req_replay.lua switch.sc.rep
expect wan= run scenarios/calls/cta_to_cta.lua w
expect cta doc ct
expect summary run scenarios/calls/cta_to_cta.lua --record s
echo "package: manual page and completion know every verb and option"
