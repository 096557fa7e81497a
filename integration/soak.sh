#!/usr/bin/env bash
# The long campaigns, for hours: random histories, kills, barriers under fire,
# fuzzing. SOAK is the number of hours for fuzzing all targets together.
set -euo pipefail
cd "$(dirname "$0")/.."
hours=${SOAK:-2}
go test -race -timeout 6h -run RandomHistories ./caddymodule/internal/offload -model.runs 2000
go test -race -run 'Oracle|Splits' -timeout 6h ./rewrite -oracle.pages 1000000 -split.pages 20000
go test -race -timeout 6h -run 'TestSimulation$' ./caddymodule/internal/offload -sim.runs 140000
go test -race -timeout 6h -parallel 2 -run 'TestHostileBucket$' ./caddymodule/internal/offload -hostile.runs 50 -hostile.rounds 8
go test -race -timeout 6h -run 'TestSimulation$' ./caddymodule/internal/lease -sim.runs 250000
go test -race -timeout 6h -run 'TestSimulation$' ./caddymodule/internal/lease -sim.runs 1000 -sim.nodes 50
WATCH_SOAK=30m go test -race -run 'Soak|Model' -timeout 2h ./caddymodule/internal/watch
(cd integration && MEDIA_OFFLOAD_SOAK=1 go test -tags integration -count 1 -timeout 6h -parallel 3 ./...)
targets=$(git ls-files '*_test.go' | grep -v '^integration/' | xargs grep -h '^func Fuzz' | wc -l)
integration/fuzz.sh "$((hours * 3600 / targets))s"
