# shellcheck shell=bash
# The words in which the walk is written. Everything that is run is printed,
# and so is what comes of it; the first thing that is not as it should be ends
# the walk.

out=
status=0

# step says what comes next.
step() { printf '\n=== %s\n' "$*"; }

fail() {
	printf '\n!!! %s\n' "$*"
	printf '%s\n' '!!! the last of the journal:'
	journalctl --no-pager -o short-monotonic -n 40 -u dnsblproxy -u unbound -u postfix@- -u dnsblproxy.socket
	exit 1
}

# try runs a command line as an administrator would, whatever it comes to.
try() {
	printf '# %s\n' "$1"
	out=$(bash -c "$1" 2>&1 </dev/null) && status=0 || status=$?
	[ -z "$out" ] || printf '%s\n' "$out"
}

# run wants it to succeed.
run() {
	try "$1"
	[ "$status" -eq 0 ] || fail "status $status of: $1"
}

# refused wants it to fail.
refused() {
	try "$1"
	[ "$status" -ne 0 ] || fail "this should not have succeeded: $1"
}

# says wants these texts in what the last command printed, each in one line.
says() {
	local text
	for text; do
		grep -qF -- "$text" <<<"$out" || fail "it does not say: $text"
	done
}

# silent wants none of them.
silent() {
	local text
	for text; do
		! grep -qF -- "$text" <<<"$out" || fail "it says: $text"
	done
}

# until_says SECONDS COMMAND TEXT repeats a command until it says so.
until_says() {
	local end=$((SECONDS + $1))
	while :; do
		out=$(bash -c "$2" 2>&1 </dev/null) || true
		! grep -qF -- "$3" <<<"$out" || break
		[ $SECONDS -lt $end ] || { printf '# %s\n%s\n' "$2" "$out"; fail "within $1 s it does not say: $3"; }
		sleep 0.5
	done
	printf '# %s\n%s\n' "$2" "$out"
}

# lines runs each line of a block of README; comments are for people.
lines() {
	local line
	while read -r line; do
		line=${line%%  #*}
		[ -z "$line" ] || run "$line"
	done <<<"$1"
}

# mail FROM delivers a message from one of the Internet's addresses.
mail() {
	try "ip netns exec internet swaks --server 192.0.2.25 --local-interface $1 --helo client.example.net --from someone@client.example.net --to postmaster@mail.example.org --header 'Subject: walk' --hide-informational"
}
accepted() {
	mail "$1"
	[ "$status" -eq 0 ] || fail "mail from $1 is not accepted"
	says "250 2.0.0 Ok: queued"
}
rejected() {
	mail "$1"
	[ "$status" -ne 0 ] || fail "mail from $1 is accepted"
	says "554 5.7.1 Service unavailable; Client host [$1] blocked using zen.spamhaus.org"
}

# typed has an interactive login shell read keys, as at a terminal.
typed() {
	printf '# %q typed at a terminal\n' "$1"
	out=$( (sleep 4; printf '%b' "$1"; sleep 6; printf 'exit\n') | TERM=dumb script -qec 'bash -l -i' /dev/null 2>&1 | tr -d '\r\a') || true
	printf '%s\n' "$out"
}
