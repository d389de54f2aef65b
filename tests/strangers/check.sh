#!/bin/sh
# Independent programs read what a run put on the wire: tshark decodes and decrypts the capture with the key directory, openssl opens
# voice packets and verifies signatures and certificates. What they say is compared with the result database.
#
#   check.sh TOLLGATE SCENARIO WORKDIR [--lossy] [name=value ...]
#
# Checked: no malformed packet; every ESP packet decrypts with a good ICV; every sealed part of every Kerberos message decrypts; no
# complaint about TCP (except with --lossy) at any end; as many messages of each kind as the database has; every 50th voice
# packet opens with its exported key to an RTP packet; the signed part of every AS-REQ verifies against the authorities.
set -eu
tollgate=$1 scenario=$2 dir=$3
shift 3
lossy=
[ "${1:-}" != --lossy ] || { lossy=1; shift; }
rm -rf "$dir"
mkdir -p "$dir"
"$tollgate" run "$scenario" "$@" -o "$dir/run.db" --pcap "$dir/run.pcapng" --keylog "$dir/keys" > "$dir/run.txt"
WIRESHARK_CONFIG_DIR=$dir/keys
export WIRESHARK_CONFIG_DIR
epoch=$(sqlite3 "$dir/run.db" "SELECT value FROM run WHERE name = 'epoch_s'")
bad=0
complain() {
	echo "strangers: $scenario: $*"
	bad=1
}

# Voice is cipher text: dissectors would take it for RTP by its port alone, or for anything by its first bytes.
read_capture() { # CAPTURE ARGUMENTS...
	file=$1
	shift
	tshark -r "$file" -K "$dir/keys/keytab" --disable-protocol rtp --disable-protocol rtcp -d udp.port==16384-16511,data "$@" 2> "$dir/tshark.err" ||
		{ cat "$dir/tshark.err"; complain "tshark failed on $file"; }
}

# One pass over the whole file for what needs no conversation.
read_capture "$dir/run.pcapng" -Y "esp || _ws.malformed" -T fields -e frame.number -e frame.interface_name -e esp.icv_good \
	-e esp.icv_bad -e _ws.malformed -E separator=, > "$dir/esp.csv"
esp=$(awk -F, '$3 != "" || $4 != ""' "$dir/esp.csv" | wc -l)
good=$(awk -F, '$3 == "1" || $3 == "True"' "$dir/esp.csv" | wc -l)
[ "$esp" -gt 0 ] || complain "no ESP packet in the capture"
[ "$esp" = "$good" ] || complain "$((esp - good)) of $esp ESP packets do not have a good ICV"

# At each end by itself, so that a packet is seen once: conversations, keys, messages.
messages() { # KIND-PATTERN COLUMN: how many the database has at this end
	sqlite3 "$dir/run.db" "SELECT count(*) FROM message WHERE $2 = '$end' AND proto IN ($3) AND kind GLOB '$1' AND fate IN ('accepted', 'refused')"
}
ends=$(sqlite3 "$dir/run.db" "SELECT name FROM node WHERE model IN ('cta', 'kdc', 'signaling_controller', 'network_server') ORDER BY name")
for end in $ends; do
	one=$dir/$end.pcapng
	tshark -r "$dir/run.pcapng" -Y "frame.interface_name == \"$end:eth0\"" -w "$one" 2> /dev/null
	read_capture "$one" -q -z expert > "$dir/$end.expert"
	read_capture "$one" -T fields -e frame.time_relative -e _ws.malformed -e kerberos.msg_type -e sip.Method -e sip.Status-Code \
		-e _ws.expert.message -E separator=\; > "$dir/$end.csv"
	malformed=$(awk -F\; '$2 != ""' "$dir/$end.csv" | wc -l)
	[ "$malformed" = 0 ] || complain "$end: $malformed malformed packets"
	missing=$(grep -c 'Missing keytype' "$dir/$end.csv" || true)
	[ "$missing" = 0 ] || complain "$end: $missing packets have a sealed Kerberos part that does not decrypt"
	if [ -z "$lossy" ]; then
		grep -E '(Warns|Errors) ' "$dir/$end.expert" > /dev/null && grep -A8 -E '^(Warns|Errors) ' "$dir/$end.expert" &&
			complain "$end: tshark complains"
		for method in INVITE ACK BYE; do
			seen=$(awk -F\; -v m=$method '$4 == m' "$dir/$end.csv" | wc -l)
			known=$(($(messages $method src "'sip'") + $(messages $method dst "'sip'")))
			[ "$seen" = "$known" ] || complain "$end: tshark sees $seen $method, the database has $known"
		done
	fi
done

# Voice: the exported key of its direction opens it to RTP version 2 of G.711.
opened=0
tshark -r "$dir/run.pcapng" -Y "udp.srcport >= 16384 && udp.dstport >= 16384 && udp.length >= 180 && !esp && !icmp" -T fields -e ip.src -e udp.srcport \
	-e ip.dst -e udp.dstport -e udp.payload --disable-protocol rtp --disable-protocol rtcp -d udp.port==16384-16511,data 2> /dev/null | awk 'NR % 500 == 1' > "$dir/voice.txt"
while read -r src sport dst dport payload; do
	opens=
	for key in $(awk -v s="$src:$sport" -v d="$dst:$dport" '$1 == s && $2 == d { print $3 }' "$dir/keys/rtp_keys"); do
		head=$(printf '%s' "$payload" | xxd -r -p | openssl enc -d -des-ede3-cbc -nopad -K "$key" -iv 0000000000000000 2> /dev/null |
			head -c 2 | xxd -p)
		case $head in 80[08][08] | a0[08][08] | 8080 | 8088 | a080 | a088) opens=1 ;; esac
	done
	[ -n "$opens" ] && opened=$((opened + 1)) || complain "voice packet $src:$sport -> $dst:$dport does not open with its exported key"
done < "$dir/voice.txt"

# Signatures: the SignedData in each AS-REQ, by the authorities' certificates.
cat "$dir"/keys/operator-*.pem > "$dir/operator.pem"
verified=0
for end in $ends; do
	read_capture "$dir/$end.pcapng" -Y 'kerberos.msg_type == 10 && tcp' -T fields -e tcp.reassembled.data | tr -d ':\n' | sed 's/$/\n/' > "$dir/asreq.hex"
	hex=$(cat "$dir/asreq.hex")
	match=$(printf '%s' "$hex" | grep -oE '3082....06092a864886f70d010702' | head -1 || true)
	[ -n "$match" ] || continue
	before=${hex%%"$match"*}
	len=$(printf '%d' "0x$(printf '%s' "$match" | cut -c5-8)")
	printf '%s' "$hex" | tail -c "+$((${#before} + 1))" | head -c "$((2 * (len + 4)))" | xxd -r -p > "$dir/cms.der"
	if openssl cms -verify -inform DER -binary -purpose any -attime "$epoch" -CAfile "$dir/operator.pem" -in "$dir/cms.der" \
		-signer "$dir/signer.pem" -out "$dir/authpack.der" 2> "$dir/cms.err"; then
		verified=$((verified + 1))
		openssl verify -attime "$epoch" -CAfile "$dir/keys/operator-root.pem" -untrusted "$dir/keys/operator-ca.pem" -purpose any \
			"$dir/signer.pem" > "$dir/verify.txt" 2>&1 || complain "$(cat "$dir/verify.txt")"
	else
		complain "openssl does not verify the signature of an AS-REQ: $(cat "$dir/cms.err")"
	fi
done
for pem in "$dir"/keys/kdc-*.pem; do
	openssl verify -attime "$epoch" -CAfile "$dir/keys/operator-root.pem" -untrusted "$dir/keys/operator-ca.pem" -purpose any "$pem" \
		> "$dir/verify.txt" 2>&1 || complain "$(cat "$dir/verify.txt")"
done
[ "$bad" = 0 ] || exit 1
echo "strangers: $scenario $*: $good ESP packets, $opened voice packets, $verified signatures read by tshark and openssl"
