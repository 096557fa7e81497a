#!/usr/bin/env bash
# Runs the fuzz targets of the main module.
#   integration/fuzz.sh          20 s for each format that rewrite reads, 3 s for
#                                the others of packages that are built fast when
#                                instrumented
#   integration/fuzz.sh 10m      10 minutes for each of all packages
#   integration/fuzz.sh 1m ./rewrite    those of some packages
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-}
shift || true
if [ -z "$time" ]; then
	# To instrument Caddy or the AWS SDK takes minutes; go test runs the seeds of
	# the packages that need them.
	set -- ./rewrite ./caddymodule/internal/media ./caddymodule/internal/watch ./caddymodule/internal/local
elif [ $# -eq 0 ]; then
	set -- $(git ls-files '*_test.go' | grep -v '^integration/' | xargs grep -l '^func Fuzz' | xargs -n1 dirname | sort -u | sed 's|^|./|')
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for package in "$@"; do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
		case $target in
		FuzzHTML | FuzzCSS | FuzzJSON | FuzzXML | FuzzReverse) each=${time:-20s} ;;
		*) each=${time:-3s} ;;
		esac
		printf 'fuzz %s %s %s\n' "$each" "$package" "$target"
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" "$package" >"$log"; then
			grep -v '^fuzz: elapsed' "$log"
			exit 1
		fi
		tail -n 1 "$log"
	done
done
