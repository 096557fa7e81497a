# The two commands of the README are `make demo` and `make test`.
GO       ?= go
BIN      := $(CURDIR)/.cache/bin
FUZZTIME ?=

.PHONY: build demo test unit integration soak bench bench-rewrite lint fuzz tools clean

build: ## the Caddy binary with this module
	$(GO) build -trimpath -o bin/media-offload-caddy ./cmd/media-offload-caddy

demo: ## a real WordPress behind the module; Ctrl-C ends it
	integration/setup.sh site
	cd integration && $(GO) run ./demo -dir ../.demo $(DEMO_FLAGS)

test: tools lint unit fuzz integration ## all that CI runs

tools:
	integration/setup.sh

unit:
	$(GO) vet ./...
	$(GO) test -race -timeout 40m -parallel 6 ./...
	$(GO) test -run 'TestSimulation$$' ./caddymodule/internal/lease -sim.runs 5000 -sim.seed 1
	$(GO) test -run 'TestSimulation$$' ./caddymodule/internal/offload -sim.runs 5000 -sim.seed 1

# Without -count 1 a result would be taken from go's cache, which does not know of
# the Caddy that the tests build from this module.
integration:
	cd integration && $(GO) vet -tags integration ./... && $(GO) test -tags integration -count 1 -timeout 40m -parallel 3 ./...

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "not gofmt'ed: $$unformatted"; exit 1; }
	$(GO) mod tidy -diff
	cd integration && $(GO) mod tidy -diff
	$(BIN)/golangci-lint run ./...
	cd integration && $(BIN)/golangci-lint run --build-tags integration ./...

fuzz: ## the formats that rewrite reads, 10 s each; FUZZTIME=10m: every target, that long
	integration/fuzz.sh $(FUZZTIME)

soak: tools ## long campaigns: hours
	integration/soak.sh

bench: tools ## library and whole-process comparisons, side by side
	integration/bench.sh

# How much faster package rewrite is than at another commit: make bench-rewrite BASE=main
bench-rewrite:
	integration/bench-rewrite.sh $(BASE)

clean:
	rm -rf bin .cache .demo
