#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time (30s) each. A found
# input is left in the package's testdata/fuzz, to be committed with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
targets=$(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go') || { echo "no fuzz targets" >&2; exit 1; }
while IFS=: read -r file func; do
	name=${func#func }
	echo "== ./$(dirname "$file") $name"
	go test -run='^$' -fuzz="^$name\$" -fuzztime="$time" "./$(dirname "$file")"
done <<<"$targets"
