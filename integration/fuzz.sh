#!/usr/bin/env bash
# Runs the fuzz targets of the main module.
#   integration/fuzz.sh                 10 s for each format that rewrite reads
#   integration/fuzz.sh 10m             10 minutes for each target of all packages
#   integration/fuzz.sh 1m ./rewrite    those of some packages
#   integration/fuzz.sh 1m ./rewrite HTML 'CSS|JSON'    some of one package
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-}
package=${2:-}
shift $(($# < 2 ? $# : 2))
if [ -z "$time" ]; then
	# What a search at random finds elsewhere would be no fault of the change that
	# it stops: the others run for long in soak.sh, and their seeds in go test.
	time=10s package=./rewrite
	set -- 'HTML|CSS|JSON|XML|Reverse'
fi
packages=$package
if [ -z "$package" ]; then
	packages=$(git ls-files '*_test.go' | grep -v '^integration/' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u | sed 's|^|./|')
fi
targets="^Fuzz($(IFS='|' && echo "${*:-.*}"))\$"
# over: the time was over, and nothing was found. On a busy machine go before 1.27
# now and then calls that a failure (https://go.dev/issue/75804).
over() {
	grep -qx '    context deadline exceeded' "$1" && ! grep -q 'Failing input written to\|panic:\|_test.go:' "$1"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for package in $packages; do
	for target in $(go test -list "$targets" "$package" | grep '^Fuzz'); do
		printf 'fuzz %s %s %s\n' "$time" "$package" "$target"
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package" >"$log" && ! over "$log"; then
			grep -v '^fuzz: elapsed' "$log"
			exit 1
		fi
		tail -n 1 "$log"
	done
done
