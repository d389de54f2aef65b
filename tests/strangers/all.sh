#!/bin/sh
# check.sh over the runs that differ in what they put on the wire.
#   all.sh TOLLGATE WORKDIR
set -eu
here=$(dirname "$0")
check() { # NAME SCENARIO ARGUMENTS...
	name=$1 scenario=scenarios/$2.lua
	shift 2
	sh "$here/check.sh" "$tollgate" "$scenario" "$dir/$name" "$@"
}
tollgate=$1 dir=$2
check call calls/cta_to_cta
check alaw calls/cta_to_cta codec=PCMA switch.rtp.mac=off
check server calls/cta_to_server
check wiretap calls/wiretap
check udp calls/ticket_lifetime calls=1 transport=udp
check dh calls/ticket_lifetime --dh calls=1 pkinit=dh
check lossy calls/lossy_network --lossy calls=1
check provisioning lifecycle/provision_new
check pstn lifecycle/pstn
sh "$here/isup.sh" "$tollgate" "$dir/isup"
