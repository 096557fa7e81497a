#!/usr/bin/env bash
# The same on one machine, without containers: two WordPress servers, each with
# its own files, PHP-FPM and Caddy, one MariaDB, one MinIO, a load balancer.
# Needs Debian 12, Go 1.26 and root. Ctrl-C ends it; --help lists the options.
set -euo pipefail
cd "$(dirname "$0")/../../integration"
exec go run ./demo -nodes 2 -dir ../.demo/cluster "$@"
