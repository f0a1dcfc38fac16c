#!/usr/bin/env bash
# Prints the licences of what is linked into the program beside our own code,
# Go's library and the modules: a binary has to bring them along.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}

# show NAME DIR prints what a module says of its licence.
show() {
	local file
	for file in "$2"/{LICENSE,COPYING,NOTICE,PATENTS}*; do
		[ ! -f "$file" ] || { printf '=== %s: %s\n\n' "$1" "${file##*/}"; cat "$file"; echo; }
	done
}

show Go "$($GO env GOROOT)"
CGO_ENABLED=0 GOOS=linux $GO list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/dnsblproxy |
	sort -u | while read -r path version dir; do
	show "$path $version" "$dir"
done
