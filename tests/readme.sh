#!/usr/bin/env bash
# The commands that README.md shows: the scenario printed there is stopped and succeeds as it says, each of the ten questions has an
# answer, the campaign under GNU parallel gives the bytes of one go, and the manual page asks the same questions.   readme.sh TOLLGATE
set -euo pipefail
tollgate=$(realpath "$1")
top=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "readme: $*" >&2; exit 1; }
run() { "$tollgate" run "$@" > "$work/said" 2>&1 || { cat "$work/said"; fail "tollgate run $*"; }; }
block() { # SECTION NTH: the fenced block of a section
	awk -v section="## $1" -v nth="$2" '/^## / { in_section = $0 == section } in_section && /^```/ { n += !inside; inside = !inside; next }
		in_section && inside && n == nth' README.md
}

mkdir "$work/build"
ln -s "$tollgate" "$work/build/tollgate"
ln -s "$top/scenarios" "$work/scenarios"

block "A scenario" 1 > "$work/replay.lua"
while read -r line; do # diff says 1: they differ; the last one, all scenarios, has its own test
	case $line in *' test '*) continue ;; *' diff '*) wanted=1 ;; *) wanted=0 ;; esac
	code=0
	(cd "$work" && sh -c "$line" > said 2>&1) || code=$?
	[ $code = $wanted ] || { cat "$work/said"; fail "$line: exit code $code"; }
done < <(block "A scenario" 2)
run scenarios/calls/cta_to_cta.lua -o "$work/call.db"
run scenarios/lifecycle/provision_new.lua -o "$work/new.db"
campaign=$(block "Many runs" 1)
(cd "$work" && sh -c "$campaign" > said 2>&1) || { cat "$work/said"; fail "$campaign"; }

questions=0
while read -r line; do
	case $line in
	'#'*) ;;
	*)
		(cd "$work" && bash -c "$line" > answer 2>&1) || { cat "$work/answer"; fail "$line"; }
		[ -s "$work/answer" ] || fail "no answer to: $line"
		questions=$((questions + 1))
		grep -qF -- "$(sed "s/-/\\\\-/g; s/'/\\\\(aq/g" <<< "$line")" scenarios/cmd/tollgate.1 || fail "the manual page lacks: $line" ;;
	esac
done < <(block "Ten questions" 1)
[ "$questions" = 10 ] || fail "$questions questions"

parts=$(block "Many runs" 2 | grep '^parallel ')
(cd "$work" && sh -c "${parts/parallel /parallel --will-cite }" > said 2>&1) || { cat "$work/said"; fail "$parts"; }
merge=$(block "Many runs" 2 | grep ' merge ')
(cd "$work" && sh -c "$merge" > said 2>&1) || { cat "$work/said"; fail "$merge"; }
cmp "$work/delay.db" "$work/all.db" || fail "the parts joined are not the whole"
echo "readme: its scenario, ten questions and campaigns are as it says"
