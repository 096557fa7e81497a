#!/usr/bin/env bash
# Benchmarks of the packages, then comparisons of whole processes side by side.
set -euo pipefail

usage() {
	cat <<'USAGE'
usage: integration/bench.sh [-quick] [-packages] [-processes] [flag of ./bench ...]

-quick        under two minutes instead of ten, rougher
-packages     only the benchmarks of the packages
-processes    only the comparisons of whole processes
-before COMMIT only compare with this project at another commit
other flags go to the comparisons, for example -parts upload,reads or -profile
DIR or -plugin DIR, a folder with WP Offload Media Lite to upload with beside

make bench takes the flags from $BENCH_FLAGS: make bench BENCH_FLAGS=-quick
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")

packages=1
processes=1
before=
benchtime=200ms
skip='^$'
flags=()
# shellcheck disable=SC2086 # flags are words
set -- ${BENCH_FLAGS:-} "$@"
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) usage && exit 0 ;;
	-quick) benchtime=30ms skip='LargeTree|ListDir|minio' flags+=(-quick) ;;
	-packages) processes= ;;
	-processes) packages= ;;
	-before) before=${2:?"-before needs a commit"} packages= && shift ;;
	*) flags+=("$1") ;;
	esac
	shift
done

# nginx is what rewriting is compared with.
nginx_package() {
	if command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; then
		return
	fi
	local line="apt-get install --yes --no-install-recommends nginx-light"
	if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
		echo "bench: nginx is missing; run as root: $line" >&2
		exit 1
	fi
	echo "bench: $line" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	$line
}

if [ -n "$packages" ]; then
	cd "$root"
	# The rows of one page are to be compared with each other.
	go test -run '^$' -bench 'Page/100k' -benchtime "$benchtime" ./rewrite
	go test -run 'TestTargets' -v ./rewrite -targets 200 -size 100k | grep -v '^===\|^---\|^PASS'
	go test -run '^$' -bench Chain -benchtime "$benchtime" ./caddymodule
	go test -run '^$' -bench Resolve -benchtime "$benchtime" ./caddymodule/internal/web
	go test -run '^$' -bench . -skip "$skip" -benchtime "$benchtime" ./caddymodule/internal/{media,watch,bucket,offload}
fi
if [ -n "$before" ]; then
	work=$(mktemp -d)
	trap 'git -C "$root" worktree remove --force "$work/tree"; rm -rf "$work"' EXIT
	git -C "$root" worktree add --quiet --detach "$work/tree" "$before"
	(cd "$work/tree" && GOWORK=off go build -trimpath -o "$work/caddy" ./cmd/media-offload-caddy)
	flags+=(-before "$work/caddy")
fi
if [ -n "$processes" ]; then
	nginx_package
	cd "$here"
	go run ./bench "${flags[@]+"${flags[@]}"}"
fi
