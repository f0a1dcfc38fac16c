#!/usr/bin/env bash
# Plays the Internet in a network namespace behind the machine's one cable:
#
#   198.41.0.4 ...   the root servers; the root is signed, so that unbound
#                    validates, and holds all other names itself
#   203.0.113.53     the servers of zen.spamhaus.org: rbldnsd
#   192.0.2.7, .8    clients of the mail server; zen lists the first
#
# The machine is 192.0.2.25. Whatever else it sends is answered by "network
# unreachable".
set -euo pipefail
dir=/run/internet
mkdir -p $dir/nsd
cd $dir

roots=(198.41.0.4 199.9.14.201 192.33.4.12 199.7.91.13 192.203.230.10 192.5.5.241 192.112.36.4
	198.97.190.53 192.36.148.17 192.58.128.30 193.0.14.129 199.7.83.42 202.12.27.33)

# --- the cable -----------------------------------------------------------------
inside() { ip netns exec internet "$@"; }
ip netns add internet
ip link add eth0 type veth peer name eth0 netns internet
ip addr add 192.0.2.25/24 dev eth0
ip link set eth0 up
inside ip link set lo up
inside ip link set eth0 up
for addr in 192.0.2.1 192.0.2.7 192.0.2.8; do inside ip addr add "$addr/24" dev eth0; done
for addr in "${roots[@]}" 203.0.113.53; do inside ip addr add "$addr/32" dev lo; done
inside sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
ip route add default via 192.0.2.1

# --- the root ------------------------------------------------------------------
{
	echo '. 86400 IN SOA a.root-servers.net. hostmaster.root. 1 600 300 86400 60'
	letters=({a..m})
	for i in "${!roots[@]}"; do
		echo ". 86400 IN NS ${letters[$i]}.root-servers.net."
		echo "${letters[$i]}.root-servers.net. 86400 IN A ${roots[$i]}"
	done
	cat <<'ZONE'
zen.spamhaus.org. 3600 IN NS a.ns.spamhaus.example.
a.ns.spamhaus.example. 3600 IN A 203.0.113.53
efax.com. 3600 IN TXT "v=spf1 ip4:198.51.100.0/28 -all"
mail.example.org. 3600 IN A 192.0.2.25
client.example.net. 3600 IN A 192.0.2.7
7.2.0.192.in-addr.arpa. 3600 IN PTR client.example.net.
ZONE
} >root.zone
key=$(ldns-keygen -k -a ECDSAP256SHA256 -r /dev/urandom .)
ldns-signzone -f nsd/root.signed root.zone "$key"
cat >nsd/nsd.conf <<CONF
server:
	username: ""
	chroot: ""
	zonesdir: "$dir/nsd"
	pidfile: "$dir/nsd/nsd.pid"
	zonelistfile: "$dir/nsd/zone.list"
	xfrdfile: "$dir/nsd/xfrd.state"
	database: ""
	logfile: "$dir/nsd/log"
remote-control:
	control-enable: no
zone:
	name: "."
	zonefile: root.signed
CONF
for addr in "${roots[@]}"; do sed -i "0,/^server:/s//server:\n\tip-address: $addr/" nsd/nsd.conf; done
inside nsd -c $dir/nsd/nsd.conf

# --- the list ------------------------------------------------------------------
cat >zen <<'ZONE'
$SOA 3000 a.ns.spamhaus.example hostmaster.spamhaus.example 0 600 300 86400 60
$NS 3600 a.ns.spamhaus.example
:127.0.0.2:https://www.spamhaus.org/query/ip/$
127.0.0.2
:127.0.0.4:https://www.spamhaus.org/query/ip/$
192.0.2.7
ZONE
inside rbldnsd -w $dir -b 203.0.113.53/53 -p $dir/rbldnsd.pid zen.spamhaus.org:ip4set:zen

# What every resolver has: the key of the root. It is this root's.
cp "$key.ds" /var/lib/unbound/root.key
chown unbound:unbound /var/lib/unbound/root.key
