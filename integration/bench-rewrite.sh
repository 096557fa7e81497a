#!/usr/bin/env bash
# How much faster or slower package rewrite is than it was at another commit.
set -euo pipefail

usage() {
	cat <<'USAGE'
usage: integration/bench-rewrite.sh COMMIT [layouts [rounds]]

Where the linker puts the code moves a benchmark by 4 % either way. So both are
built several times (6), with their functions in another order each time, the
builds take turns for some rounds (3), of each the fastest time counts, and the
mean speeds of the builds are compared. What is measured is the working tree.

make bench-rewrite BASE=COMMIT
USAGE
}

case ${1:-} in
'' | -h | --help) usage && exit "$(($# == 0))" ;;
esac
base=$1
layouts=${2:-6}
rounds=${3:-3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

work=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$work/base"; rm -rf "$work"' EXIT
git -C "$root" worktree add --quiet --detach "$work/base" "$base"

build() { # name folder
	for layout in $(seq "$layouts"); do
		(cd "$2/rewrite" && go test -c -ldflags "-randlayout=$layout" -o "$work/$1.$layout" .)
	done
}
build before "$work/base"
build after "$root"

for _ in $(seq "$rounds"); do
	for layout in $(seq "$layouts"); do
		for name in before after; do
			"$work/$name.$layout" -test.run '^$' -test.benchtime 20x -test.count 30 \
				-test.bench '^BenchmarkPage$/^100k$/^(zero|typical|dense)$/^rewrite(-first)?$' |
				sed -n "s|^BenchmarkPage/100k/\([a-z/]*[a-z-]*[a-z]\)[-0-9]*[[:space:]]*[0-9]*[[:space:]]*\([0-9.]*\) ns/op.*|$name $layout \1 \2|p"
		done
	done
done | awk '
	{ key = $3 SUBSEP $1 SUBSEP $2; if (!(key in best) || $4 < best[key]) best[key] = $4 }
	END {
		for (key in best) {
			split(key, part, SUBSEP)
			what[part[1]]
			speed[part[1], part[2]] += 1e6 / best[key] / '"$layouts"'
		}
		for (page in what)
			printf "%-22s %7.1f -> %7.1f pages/ms, x %.3f\n", page, speed[page, "before"] , speed[page, "after"], speed[page, "after"] / speed[page, "before"]
	}' | sort
