#!/usr/bin/env bash
# Installs the Debian packages whose daemons the end-to-end tests start, and
# only those that are missing. Without apt-get (another system) it does nothing:
# there the tests that miss a daemon skip, unless CI is set.
set -euo pipefail

# program:package
wanted=(
	rbldnsd:rbldnsd          # the lists
	unbound:unbound          # the resolver in front of and behind the proxy
	nsd:nsd                  # root and domain above a list
	named:bind9              # another resolver in front
	dnsmasq:dnsmasq-base     # likewise
	ip:iproute2              # addresses of root servers in a network namespace
	postconf:postfix         # the mail server
	redis-server:redis-server # the shared cache; with redis-cli
	git:git
)

PATH=$PATH:/usr/sbin:/sbin
missing=()
for entry in "${wanted[@]}"; do
	command -v "${entry%%:*}" >/dev/null 2>&1 || missing+=("${entry##*:}")
done
# The race detector needs a C compiler.
command -v gcc >/dev/null 2>&1 || missing+=(gcc libc6-dev)
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "not Debian; the end-to-end tests want these packages: ${missing[*]}" >&2
	exit 0
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "neither root nor sudo; please install: ${missing[*]}" >&2
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
echo "installing: ${missing[*]}"
install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq)
"${install[@]}" update
"${install[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
