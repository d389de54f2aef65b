#!/bin/sh
# tshark reads the signaling link between the signaling gateway and the PSTN. What it says is compared with the result database.
#
#   isup.sh TOLLGATE WORKDIR [name=value ...]
#
# Checked at the exchange's end: no malformed packet; as many ISUP messages of each type, either way, as the database has; circuit, cause
# of every release and called number of every call as the database has them; point codes. On the circuits' ports: every packet is RTP of
# mu-law, and there is some.
set -eu
tollgate=$1 dir=$2
shift 2
scenario=scenarios/lifecycle/pstn.lua
rm -rf "$dir"
mkdir -p "$dir"
"$tollgate" run "$scenario" "$@" -o "$dir/run.db" --pcap "$dir/run.pcapng" > "$dir/run.txt"
bad=0
complain() {
	echo "strangers: isup: $*"
	bad=1
}
tshark -r "$dir/run.pcapng" -Y 'frame.interface_name == "exchange:eth0" && tcp' -w "$dir/link.pcapng" 2> /dev/null
tshark -r "$dir/run.pcapng" -Y 'frame.interface_name == "exchange:eth0" && udp.port >= 15000 && udp.port < 16384 && !icmp' \
	-w "$dir/circuits.pcapng" 2> /dev/null
tshark -r "$dir/link.pcapng" -Y isup -T fields -e isup.message_type -e mtp3.opc -e mtp3.dpc -e isup.cic -e isup.cause_indicator \
	-e e164.called_party_number.digits -e _ws.malformed -E separator=';' > "$dir/isup.csv" 2> "$dir/tshark.err" ||
	complain "tshark failed"
malformed=$(tshark -r "$dir/link.pcapng" -Y _ws.malformed 2> /dev/null | wc -l)
[ "$malformed" = 0 ] || complain "$malformed malformed packets"
read_fields() { # SQL
	sqlite3 "$dir/run.db" "$1"
}
total=0
for type in IAM:1 ACM:6 CON:7 ANM:9 REL:12 RLC:16 RSC:18 GRS:23 GRA:41; do
	kind=${type%:*} code=${type#*:}
	seen=$(awk -F';' -v c="$code" '$1 == c' "$dir/isup.csv" | wc -l)
	known=$(read_fields "SELECT count(*) FROM message WHERE proto = 'isup' AND kind = '$kind' AND fate IN ('accepted', 'refused')")
	[ "$seen" = "$known" ] || complain "tshark sees $seen $kind, the database has $known"
	total=$((total + seen))
done
[ "$total" -gt 50 ] || complain "only $total ISUP messages"
known=$(read_fields "SELECT count(*) FROM message WHERE proto = 'isup' AND fate IN ('accepted', 'refused')")
[ "$total" = "$known" ] || complain "the database has $known ISUP messages, of known types $total"
strange=$(awk -F';' '!($2 == 4096 && $3 == 4097 || $2 == 4097 && $3 == 4096)' "$dir/isup.csv" | wc -l)
[ "$strange" = 0 ] || complain "$strange messages with other point codes"
both() { # KIND CODE PATH COLUMN: the values of one field, with its circuit, as both say, sorted
	awk -F';' -v c="$2" -v n="$4" '$1 == c { print $4 ";" $n }' "$dir/isup.csv" | sort > "$dir/$1.seen"
	read_fields "SELECT c.value || ';' || v.value FROM message m JOIN field c USING (src, dst, kind, nth) JOIN field v
		USING (src, dst, kind, nth) WHERE m.proto = 'isup' AND m.kind = '$1' AND m.fate IN ('accepted', 'refused')
		AND c.path = 'cic' AND v.path = '$3'" | sort > "$dir/$1.known"
	cmp -s "$dir/$1.seen" "$dir/$1.known" || complain "$1: $3 differs: $(diff "$dir/$1.seen" "$dir/$1.known" | head -4)"
}
both REL 12 cause 5
both IAM 1 called 6
voice=$(tshark -r "$dir/circuits.pcapng" -d udp.port==15000-16383,rtp -Y 'rtp.version == 2 && rtp.p_type == 0 && udp.length == 180' 2> /dev/null | wc -l)
all=$(tshark -r "$dir/circuits.pcapng" 2> /dev/null | wc -l)
[ "$voice" -gt 100 ] && [ "$voice" = "$all" ] || complain "$voice of $all packets on circuits are RTP of mu-law"
[ "$bad" = 0 ] || exit 1
echo "strangers: isup: $total ISUP messages, $voice packets on circuits read by tshark"
