#!/usr/bin/env bash
# Runs every fuzz target of the main module.
#   integration/fuzz.sh          20 s for each of rewrite, 5 s for each other
#   integration/fuzz.sh 10m      10 minutes for each
#   integration/fuzz.sh 1m ./rewrite    those of some packages
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-}
shift || true
[ $# -gt 0 ] || set -- $(git ls-files '*_test.go' | grep -v '^integration/' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u | sed 's|^|./|')
for package in "$@"; do
	each=${time:-5s}
	[ -n "$time" ] || [ "$package" != ./rewrite ] || each=20s
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
		printf 'fuzz %s %s %s\n' "$each" "$package" "$target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" "$package" | tail -n 1
	done
done
