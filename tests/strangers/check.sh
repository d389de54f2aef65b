#!/bin/sh
# Independent programs read what a run put on the wire: tshark decodes and decrypts the capture with the key directory, openssl opens
# voice packets and verifies signatures and certificates. What they say is compared with the result database.
#
#   check.sh TOLLGATE SCENARIO WORKDIR [--lossy] [--dh] [name=value ...]
#
# Checked: no malformed packet; every ESP packet decrypts with a good ICV; every sealed part of every Kerberos message decrypts; no
# complaint about TCP (except with --lossy) at any end; as many messages of each kind as the database has; every 50th voice
# packet opens with its exported key to an RTP packet; the signed part of every AS-REQ verifies against the authorities.
#
# --dh: tshark 4.0 reads the AS-REP of Diffie-Hellman mode as drafts had it, without the DHRepInfo of RFC 4556 section 3.2.3, and calls
# it malformed. Those messages are left out there, and openssl verifies the signed part of the AS-REP as well.
set -eu
tollgate=$1 scenario=$2 dir=$3
shift 3
lossy= dh=
[ "${1:-}" != --lossy ] || { lossy=1; shift; }
[ "${1:-}" != --dh ] || { dh=1; shift; }
rm -rf "$dir"
mkdir -p "$dir"
"$tollgate" run "$scenario" "$@" -o "$dir/run.db" --pcap "$dir/run.pcapng" --keylog "$dir/keys" > "$dir/run.txt"
WIRESHARK_CONFIG_DIR=$dir/keys
export WIRESHARK_CONFIG_DIR
epoch=$(sqlite3 "$dir/run.db" "SELECT value FROM run WHERE name = 'epoch_s'")
end_ns=$(sqlite3 "$dir/run.db" "SELECT value FROM run WHERE name = 'end_ns'")
at=$((epoch + end_ns / 1000000000)) # certificates issued during the run are valid at its end
bad=0
complain() {
	echo "strangers: $scenario: $*"
	bad=1
}

read_capture() { # CAPTURE ARGUMENTS...
	file=$1
	shift
	tshark -r "$file" -K "$dir/keys/keytab" --disable-protocol rtp --disable-protocol rtcp \
		-d udp.port==16384-16511,data "$@" 2> "$dir/tshark.err" || { cat "$dir/tshark.err"; complain "tshark failed on $file"; }
}

# Voice is cipher text to tshark, which would take it for anything: it is judged apart. What is left is signaling.
voice='udp.srcport >= 16384 && udp.srcport < 16640 && udp.dstport >= 16384 && udp.dstport < 16640 && !icmp'
tshark -r "$dir/run.pcapng" -Y "!($voice)" -w "$dir/signaling.pcapng" 2> /dev/null

# One pass over the whole file for what needs no conversation.
read_capture "$dir/signaling.pcapng" -Y esp -T fields -e esp.icv_good -e esp.icv_bad -E separator=, > "$dir/esp.csv"
esp=$(wc -l < "$dir/esp.csv")
good=$(grep -cE '^(1|True),' "$dir/esp.csv" || true)
[ "$esp" -gt 0 ] || complain "no ESP packet in the capture"
[ "$esp" = "$good" ] || complain "$((esp - good)) of $esp ESP packets do not have a good ICV"

# At each end by itself, so that a packet is seen once: conversations, keys, messages.
messages() { # KIND CONDITION: how many the database has at this end
	sqlite3 "$dir/run.db" "SELECT count(*) FROM message WHERE $2 AND proto = 'sip' AND kind = '$1'"
}
ends=$(sqlite3 "$dir/run.db" "SELECT name FROM node WHERE model IN ('cta', 'kdc', 'signaling_controller', 'network_server') ORDER BY name")
tab=$(printf '\t')
for end in $ends; do
	one=$dir/$end.pcapng
	tshark -r "$dir/signaling.pcapng" -Y "frame.interface_name == \"$end:eth0\"" -w "$one" 2> /dev/null
	# severity: 0x00600000 and more are warnings and errors
	read_capture "$one" -T fields -e _ws.malformed -e kerberos.msg_type -e sip.Method -e tcp.reassembled.data -e udp.payload \
		-e _ws.expert.severity -e _ws.expert.message -e icmp.type > "$dir/$end.tsv"
	# Excused from tshark's complaints: an AS-REP of Diffie-Hellman mode, and what an ICMP error quotes of a message, cut off.
	awk -F"$tab" -v dh=$dh '!(dh && $2 == 11) && $8 == ""' "$dir/$end.tsv" > "$dir/$end.judged"
	malformed=$(awk -F"$tab" '$1 != ""' "$dir/$end.judged" | wc -l)
	[ "$malformed" = 0 ] || complain "$end: $malformed malformed packets"
	missing=$(grep -c 'Missing keytype' "$dir/$end.tsv" || true)
	[ "$missing" = 0 ] || complain "$end: $missing packets have a sealed Kerberos part that does not decrypt"
	[ -z "$lossy" ] || continue
	complaints=$(awk -F"$tab" '$6 ~ /(6291456|8388608|0x00600000|0x00800000)/ { print $7 }' "$dir/$end.judged" | sort | uniq -c)
	[ -z "$complaints" ] || complain "$end: tshark complains: $complaints"
	for method in INVITE ACK BYE; do
		seen=$(awk -F"$tab" -v m=$method '$3 == m' "$dir/$end.tsv" | wc -l)
		known=$(($(messages $method "src = '$end' AND fate <> 'lost'") + $(messages $method "dst = '$end' AND fate IN ('accepted', 'refused')")))
		[ "$seen" = "$known" ] || complain "$end: tshark sees $seen $method, the database has $known"
	done
done

# Voice: the exported key of its direction opens it to RTP version 2 of G.711, or to a telephone event of RFC 2833 (payload type 101: event,
# flags and volume, duration; here a key of the keypad, 0 to 15, reserved bit not set, and no longer than event and MAC).
opened=0
tshark -r "$dir/run.pcapng" -Y "$voice && !esp" -T fields -e ip.src -e udp.srcport -e ip.dst -e udp.dstport -e udp.payload \
	--disable-protocol rtp --disable-protocol rtcp 2> /dev/null | awk 'NR % 500 == 1' > "$dir/voice.txt"
while read -r src sport dst dport payload; do
	opens=
	for key in $(awk -v s="$src:$sport" -v d="$dst:$dport" '$1 == s && $2 == d { print $3 }' "$dir/keys/rtp_keys"); do
		clear=$(printf '%s' "$payload" | xxd -r -p | openssl enc -d -des-ede3-cbc -nopad -K "$key" -iv 0000000000000000 2> /dev/null |
			head -c 14 | xxd -p)
		head=$(printf '%.4s' "$clear") event=$(printf '%s' "$clear" | cut -c25-28)
		case $head in 80[08][08] | a0[08][08] | 8080 | 8088 | a080 | a088) opens=1 ;; esac
		case $head:$event in 8065:0?[0-389ab]? | a065:0?[0-389ab]? | 80e5:0?[0-389ab]? | a0e5:0?[0-389ab]?) [ ${#payload} -gt 64 ] || opens=1 ;; esac
	done
	[ -n "$opens" ] && opened=$((opened + 1)) || complain "voice packet $src:$sport -> $dst:$dport does not open with its exported key"
done < "$dir/voice.txt"

# Signatures: the SignedData in each AS-REQ, with --dh in each AS-REP, by the authorities' certificates.
cat "$dir"/keys/operator-*.pem "$dir"/keys/manufacturer-*.pem > "$dir/authorities.pem" 2> /dev/null || true
verified=0
verify_cms() { # HEX: a message in which a SignedData lies
	hex=$1
	match=$(printf '%s' "$hex" | grep -oE '3082....06092a864886f70d010702' | head -1 || true)
	[ -n "$match" ] || return 0
	before=${hex%%"$match"*}
	len=$(printf '%d' "0x$(printf '%s' "$match" | cut -c5-8)")
	printf '%s' "$hex" | tail -c "+$((${#before} + 1))" | head -c "$((2 * (len + 4)))" | xxd -r -p > "$dir/cms.der"
	if ! openssl cms -verify -inform DER -binary -purpose any -attime "$at" -CAfile "$dir/authorities.pem" -in "$dir/cms.der" \
		-signer "$dir/signer.pem" -out "$dir/content.der" 2> "$dir/cms.err"; then
		complain "openssl does not verify a signature: $(cat "$dir/cms.err")"
		return 0
	fi
	verified=$((verified + 1))
	openssl verify -attime "$at" -CAfile "$dir/authorities.pem" -purpose any "$dir/signer.pem" > "$dir/verify.txt" 2>&1 || complain "$(cat "$dir/verify.txt")"
}
for end in $ends; do
	awk -F"$tab" -v dh=$dh '$2 == 10 || (dh && $2 == 11) { print $4 $5 }' "$dir/$end.tsv" > "$dir/$end.signed"
	while read -r hex; do
		verify_cms "$hex"
	done < "$dir/$end.signed"
done
[ "$verified" -gt 0 ] || complain "no signature found"
for pem in "$dir"/keys/kdc-*.pem; do
	openssl verify -attime "$epoch" -CAfile "$dir/keys/operator-root.pem" -untrusted "$dir/keys/operator-ca.pem" -purpose any "$pem" \
		> "$dir/verify.txt" 2>&1 || complain "$(cat "$dir/verify.txt")"
done
[ "$bad" = 0 ] || exit 1
echo "strangers: $scenario $*: $good ESP packets, $opened voice packets, $verified signatures read by tshark and openssl"
