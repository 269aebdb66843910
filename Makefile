# make demo   installs what is missing, builds, runs the examples end to end
# make test   installs what is missing, builds, runs every test

GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
HELPER  := internal/sandbox/helper/init
CHARTS  := console/dist/uPlot.js
SCRIPTS := internal/wasm/javascript
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: help demo up test build examples-wasm lint fuzz bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup-demo build ## install, build, deploy the examples, call them, stop
	@e2e/demo.sh

up: setup-demo build ## install, build, and leave the platform running in the foreground
	@bin/millicent up

test: setup-test build ## install, build, check the house rules, run every test, those of packages with the race detector
	@.ci/test

build: $(HELPER) $(CHARTS) $(SCRIPTS)/dist/quickjs.wasm ## build bin/millicent
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/millicent ./cmd/millicent

$(HELPER): $(wildcard internal/sandbox/init/*.go internal/sandbox/initproc/*.go internal/sandbox/rootfs/*.go) go.mod
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./internal/sandbox/init

examples-wasm: setup-wasm ## build the examples that are WebAssembly modules, to bin/wasm
	@examples/build-wasm.sh bin/wasm

# What the console takes from npm. Without npm it is built without charts, and
# says so.
$(CHARTS): console/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --prefix console --silent --no-audit --no-fund --fetch-retries=1 && \
		cp console/node_modules/uplot/dist/uPlot.esm.js $@ && \
		cp console/node_modules/uplot/dist/uPlot.min.css console/dist/uPlot.css && \
		cp console/node_modules/uplot/LICENSE console/dist/uPlot.LICENSE.txt || \
		echo 'npm could not get uPlot: the console is built without charts'; \
	else echo 'npm is not installed: the console is built without charts'; fi

# The JavaScript engine, likewise: the runtime javascript says what is missing.
$(SCRIPTS)/dist/quickjs.wasm: $(SCRIPTS)/package-lock.json
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --prefix $(SCRIPTS) --silent --no-audit --no-fund --fetch-retries=1 && \
		cp $(SCRIPTS)/node_modules/quickjs-wasi/LICENSE $(SCRIPTS)/dist/quickjs.LICENSE.txt && \
		cp $(SCRIPTS)/node_modules/quickjs-wasi/quickjs.wasm $@ || \
		echo 'npm could not get QuickJS: the runtime javascript is built without its engine'; \
	else echo 'npm is not installed: the runtime javascript is built without its engine'; fi

setup-%:
	@.ci/setup $*

lint: ## golangci-lint, pinned in tools/go.mod
	@$(GO) tool -modfile=tools/go.mod golangci-lint run --allow-parallel-runners

fuzz: ## every fuzz target for 20 seconds
	@.ci/fuzz

bench: setup-demo build ## measure bin/millicent beside its targets and a bare handler
	@PEER_RIE='$(PEER_RIE)' PEER_WORKERD='$(PEER_WORKERD)' PEER_WATCHDOG='$(PEER_WATCHDOG)' $(GO) run ./bench $(BENCH)

clean: ## remove what was built
	@rm -rf bin $(HELPER) console/dist/uPlot.* console/node_modules examples/*/node_modules $(SCRIPTS)/dist/quickjs.* $(SCRIPTS)/node_modules
