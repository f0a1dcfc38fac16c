#!/usr/bin/env bash
# Installs the Debian packages whose daemons the end-to-end tests start, and
# only those that are missing. Without apt-get (another system) it does nothing:
# there the tests that miss a daemon skip, unless CI is set. Packages that would
# change the machine (Exim removes Postfix, systemd-resolved takes resolv.conf)
# or run more than is needed (Prometheus, for promtool) are not installed but
# unpacked, in dist/testroot.
set -euo pipefail
cd "$(dirname "$0")/.."

# program:package
wanted=(
	rbldnsd:rbldnsd             # the lists
	unbound:unbound             # the resolver in front of and behind the proxy
	nsd:nsd                     # root and domain above a list
	named:bind9                 # another resolver in front
	dnsmasq:dnsmasq-base        # likewise
	pdns_recursor:pdns-recursor # likewise
	ip:iproute2                 # addresses of root servers in a network namespace
	postconf:postfix            # the mail server
	rspamd:rspamd               # a mail filter
	spamassassin:spamassassin   # likewise
	redis-server:redis-server   # the shared cache; with redis-cli
	dnsdist:dnsdist             # to be compared with
	dnsperf:dnsperf             # asks in the benchmark, as a check of its own generator
	systemd-analyze:systemd     # reads the units
	valgrind:valgrind           # counts instructions
	git:git
)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for entry in "${wanted[@]}"; do
	command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry##*:}")
done
# Skipped tests say nothing where all others pass.
if ! command -v haraka >/dev/null 2>&1; then
	echo "the recipe for Haraka is not tried: no haraka in PATH, and no Debian package has it (npm install -g Haraka haraka-plugin-dns-list)" >&2
fi
# The race detector needs a C compiler.
command -v gcc >/dev/null 2>&1 || missing+=(gcc libc6-dev)

# unpacked program, looked for in the root and in $root, and its packages
root=dist/testroot
unpack=()
has() {
	local f
	for f in "/usr/$1" "$root/usr/$1" "$root/$1"; do [ ! -x "$f" ] || return 0; done
	return 1
}
has sbin/exim4 || unpack+=(exim4-daemon-light)
has lib/systemd/systemd-resolved || unpack+=(systemd-resolved libsystemd-shared)
has bin/promtool || unpack+=(prometheus)
[ ${#missing[@]} -gt 0 ] || [ ${#unpack[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "not Debian; the end-to-end tests want these packages: ${missing[*]} ${unpack[*]}" >&2
	exit 0
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "neither root nor sudo; please install: ${missing[*]} ${unpack[*]}" >&2
		exit 0
	fi
	sudo=(sudo)
fi

# Installing must neither ask nor start the daemons on their usual ports.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
	"${sudo[@]}" chmod 755 "$policy"
	made=yes
fi
trap '[ -z "$made" ] || "${sudo[@]}" rm -f "$policy"' EXIT
install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq)
"${install[@]}" update

# The libraries of what is unpacked are installed.
if [ ${#unpack[@]} -gt 0 ]; then
	echo "unpacking in $root: ${unpack[*]}"
	mkdir -p "$root/packages"
	rm -f "$root"/packages/*.deb
	# As root apt would become a user that may not write here.
	(cd "$root/packages" && apt-get -qq -o APT::Sandbox::User="$(id -un)" download "${unpack[@]}")
	for package in "$root"/packages/*.deb; do
		dpkg-deb -x "$package" "$root"
		while read -r library; do
			dpkg -s "$library" >/dev/null 2>&1 || missing+=("$library")
		done < <(dpkg-deb -f "$package" Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ (|]*\).*/\1/p' | grep -v '^libsystemd-shared$\|^libjs-')
	done
fi
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing: ${missing[*]}"
"${install[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
