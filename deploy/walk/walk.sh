#!/usr/bin/env bash
# The walk of a new administrator, inside the machine: from the package to the
# first exemption, with README's own commands and blocks. Beside this script lie
# README.md, the package in dist, and the other files of this folder.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export DEBIAN_FRONTEND=noninteractive PAGER=cat SYSTEMD_PAGER=
here=$(dirname "$(readlink -f "$0")")
cd "$here"
README=$here/README.md
# shellcheck source-path=SCRIPTDIR
. ./readme.sh
# shellcheck source-path=SCRIPTDIR
. ./steps.sh
trap '[ $? -eq 0 ] || echo "walk: FAILED"' EXIT

zone=zen.spamhaus.org
config=/etc/dnsblproxy/config.toml
unbound=/etc/unbound/unbound.conf.d/dnsbl.conf
install=$(section Installing | fence sh)
lookup=$(table 'see what a client is told, and why')
allow=$(table 'let a sender in')
client=${lookup##* }
address=$(recipe Postfix | fence toml | grep -o '[0-9.]*:53')

# settled waits for the state of a unit.
settled() { until_says 60 "systemctl show -P ActiveState -P SubState $1" "$2"; }

# journal prints what the unit has said since the given cursor file was made.
journal() { run "journalctl --no-pager -o cat -u dnsblproxy --since '$1'"; }
now() { date '+%F %T'; }

step "the machine before: Postfix and unbound, and $client is refused"
./internet.sh >/run/internet.log 2>&1 || fail "$(cat /run/internet.log)"
reject=$(recipe Postfix | grep -o "reject_rbl_client ${zone}[^ ]*")
run "postconf -e 'myhostname = mail.example.org' 'smtpd_recipient_restrictions = permit_mynetworks, $reject'"
# README's "unbound in front" is the one that the system asks.
run "systemctl restart unbound && cp /etc/resolv.conf /var/spool/postfix/etc/ && systemctl restart postfix"
run "dig +short +dnssec mail.example.org"
says 192.0.2.25
rejected "$client"
accepted 192.0.2.8

step "README, Installing"
# The administrator's hand: what README says of the zone in unbound's recipe,
# and the rule of its section Configuration.
cat >/usr/local/bin/editor <<EOF
#!/bin/sh
sed -i '/^\[zone."$zone"\]/r /run/zone.toml' "\$1"
{ echo; cat /run/rule.toml; } >>"\$1"
EOF
chmod +x /usr/local/bin/editor
recipe unbound | fence toml | sed "s/ZONE/$zone/" | toml "zone.\"$zone\"" | tail -n +2 >/run/zone.toml
section Configuration | fence toml | toml allow.efax >/run/rule.toml
cat /run/zone.toml /run/rule.toml
begun=$(now)
first=$(head -n 1 <<<"$install")
run "${first%%  #*}"
run 'systemctl is-enabled dnsblproxy && systemctl is-active dnsblproxy'
second=$(sed -n 2p <<<"$install")
refused "${second%%  #*}"
says "$config:" 'reading "allow.d/efax.txt": no such file or directory; create it'
echo "it says to create the file:"
run 'touch /etc/dnsblproxy/allow.d/efax.txt'
run 'dnsblproxy check'
lines "$(tail -n +3 <<<"$install")"
run 'systemctl status dnsblproxy'
says 'Loaded: loaded (/lib/systemd/system/dnsblproxy.service; enabled' 'Active: active (running)' 'man:dnsblproxy(1)' 'Status: "'

step "README, the first questions"
port='@127.0.0.1 -p 5353'
while read -r line; do
	[[ $line == "dig $port"* ]] || continue
	run "${line%%  #*}"
	case $line in
		*'listed:'*) says 'status: NOERROR' 127.0.0.2 ;;
		*'and why'*) says 'status: NOERROR' TXT ;;
		*'exempt:'*) says 'status: NXDOMAIN' 'exempt: fax (cidr)' ;;
		*) fail "nobody knows what README says of it" ;;
	esac
done < <(awk '/^## /{exit} {print}' "$README" | fence sh 2)

step "doctor, before anybody asks the proxy"
refused 'dnsblproxy doctor'
says 'WRONG  path' "forward-addr: 127.0.0.1@5353"

step "README, the recipe for unbound"
recipe unbound | fence '' | sed "s/ZONE/$zone/" >$unbound
run "cat $unbound"
lines "$(recipe unbound | fence sh)"
run 'cat /etc/resolv.conf'
says "$(recipe unbound | grep -o 'nameserver 127.0.0.1')"

step "doctor, now"
# Nothing tells the time to a machine without a network; all else is right.
try 'dnsblproxy doctor'
[ "$(grep -c '^WRONG' <<<"$out")" -eq 1 ] || fail "it finds something else than the clock"
says 'WRONG  clock' 'ok     server' 'ok     resolv.conf' 'ok     path' 'ok     rebind' 'ok     zones' 'ok     lists' 'ok     sources'

step "README, Operations: a refused client, found and let in"
rejected "$client"
run "$lookup"
says "$zone: listed 127.0.0.4"
begun=$(now)
# A careful administrator's umask must not keep the rule from the service.
run "umask 077; $allow"
until_says 5 "$lookup" "$zone: exempt"
run "$(table 'see who is let in, and by what')"
says "$client" 'ticket 4711' '2027-03-31'
# smtpd remembers what a list said for as long as it lives, as README says.
run "$(recipe Postfix | grep -om1 'postfix reload')"
accepted "$client"
run "$(table 'judge a domain before trusting it')"
says '198.51.100.0/28'
journal "$begun"
says "$client"

step "the log, as README says"
run 'journalctl --no-pager -o cat -u dnsblproxy'
says 'msg=serving' "$client" 'exempt'

step "systemctl reload"
begun=$(now)
run "sed -i 's/^level  = .*/level  = \"info\"/; s/^code  = .*/code  = \"127.0.0.5\"/' $config && dnsblproxy check"
run 'systemctl reload dnsblproxy'
until_says 5 'dig +short @127.0.0.1 -p 5353 66.100.51.198.local.rbl.internal' 127.0.0.5
run "cp $config /run/good.toml && echo 'nonsense = 1' >>$config"
refused 'dnsblproxy check'
says 'nonsense'
try 'systemctl reload dnsblproxy'
until_says 5 "journalctl --no-pager -o cat -u dnsblproxy --since '$begun'" 'configuration not reloaded; the one before stays in force'
says 'configuration reloaded'
run "dig +short @127.0.0.1 -p 5353 66.100.51.198.local.rbl.internal"
says 127.0.0.5
run "cp /run/good.toml $config && systemctl reload dnsblproxy"

step "what systemd knows, and what the service may not do"
run 'systemctl show dnsblproxy -p Type -p NotifyAccess -p WatchdogUSec -p User -p NRestarts -p StatusText'
says 'Type=notify' 'WatchdogUSec=30s' 'User=dnsblproxy' 'NRestarts=0' 'StatusText='
pid=$(systemctl show -P MainPID dnsblproxy)
run "grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status"
says $'NoNewPrivs:\t1' $'Seccomp:\t2' $'CapBnd:\t0000000000000400' $'CapEff:\t0000000000000400'
refused "nsenter --target $pid --mount touch /etc/dnsblproxy/mine"
says 'Read-only file system'
run "nsenter --target $pid --mount ls -ld /var/lib/dnsblproxy"
says 'drwx------' 'dnsblproxy dnsblproxy'
run 'systemd-analyze --no-pager security dnsblproxy | tail -n 1'
says 'OK'

step "the watchdog: a server that hangs is started again"
run "kill -STOP $(systemctl show -P MainPID dnsblproxy)"
until_says 90 'systemctl show dnsblproxy -p NRestarts' 'NRestarts=1'
settled dnsblproxy active
run "journalctl --no-pager -o cat -u dnsblproxy | grep -i watchdog"
run "$lookup"
says "$zone: exempt"

step "README, the recipe for Postfix: a spare address"
recipe Postfix | fence toml | grep '^servers' >/run/servers.toml || fail "no servers"
run "sed -i -e 's/^listen  = .*/listen = [\"$address\", \"127.0.0.1:5353\"]/' -e 's/^servers  = .*/$(cat /run/servers.toml)/' $config && dnsblproxy check && systemctl restart dnsblproxy"
run "echo '$(recipe Postfix | fence '')' >/etc/resolv.conf && cp /etc/resolv.conf /var/spool/postfix/etc/resolv.conf && systemctl restart postfix"
run 'cat /etc/resolv.conf'
accepted "$client"
run "dig +short 7.2.0.192.$zone TXT; dig +short mail.example.org"
says 192.0.2.25

step "systemd opens the port, as the comment in dnsblproxy.socket says"
run "sed -i 's/^listen = \[.*/listen = [\"systemd\", \"127.0.0.1:5353\"]/' $config && dnsblproxy check"
run "mkdir -p /etc/systemd/system/dnsblproxy.socket.d && printf '%s\n' '[Socket]' ListenDatagram= ListenStream= ListenDatagram=$address ListenStream=$address >/etc/systemd/system/dnsblproxy.socket.d/override.conf && systemctl daemon-reload"
run "$(sed -n 's/^#   3\. //p' /usr/lib/systemd/system/dnsblproxy.socket) && systemctl is-active dnsblproxy.socket"
run "dig +tries=1 +time=40 @${address%:*} 7.2.0.192.$zone"
says 'status: NXDOMAIN' 'exempt: efax'
run 'systemctl is-active dnsblproxy'
run "systemctl restart dnsblproxy & dig +tries=1 +time=40 +tcp @${address%:*} 2.0.0.127.$zone; wait"
says 127.0.0.2
accepted "$client"

step "help, man pages, completion"
commands=(serve check lookup 'allow' 'allow list' 'allow add' 'allow remove' 'allow import' 'allow export' spf report doctor version)
run 'dnsblproxy --help'
for command in "${commands[@]}"; do says "  ${command%% *}"; done
for command in "${commands[@]}"; do
	run "dnsblproxy $command --help"
	says 'Usage:' "dnsblproxy $command"
done
for page in dnsblproxy dnsblproxy-allow-add dnsblproxy.toml; do
	run "man $page | head -n 12"
	says NAME "$page"
done
typed 'dnsblproxy vers\t\n'
says "$(dnsblproxy version | head -n 1)"
typed 'dnsblproxy allow export --form\tc\t\n'
says 'entry,until,comment'

step "an upgrade, and the end"
run 'dpkg -i dist/dnsblproxy_*_amd64.deb'
run 'systemctl is-active dnsblproxy dnsblproxy.socket'
run 'apt-get purge -y dnsblproxy'
refused 'systemctl cat dnsblproxy'
run 'ls -lR /etc/systemd/system/*.wants /etc/dnsblproxy /var/lib/systemd/deb-systemd-helper-enabled'
silent dnsblproxy.service dnsblproxy.socket

echo
echo 'walk: passed'
