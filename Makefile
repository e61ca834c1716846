# Sallyport. `make help` lists the targets.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
CACHE       := $(or $(SALLYPORT_CACHE),$(HOME)/.cache/sallyport)
TOOLS       := $(CACHE)/tools
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Every binary is built the same way from any directory.
BUILD   := go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)"
# The enclave erases what it computed with a combined key, where the toolchain can.
ENCLAVE := GOEXPERIMENT=runtimesecret $(BUILD)

FUZZTIME  ?= 10s
BENCHTIME ?= 1s
MPCTIME   ?= 3x
MPCBENCH  ?= Nodes|PreParams

GOLANGCI_LINT := $(TOOLS)/golangci-lint-v2.15.0/golangci-lint
STATICCHECK   := $(TOOLS)/staticcheck-v0.8.2/staticcheck
GOFUMPT       := $(TOOLS)/gofumpt-v0.12.0/gofumpt
GOVULNCHECK   := $(TOOLS)/govulncheck-v1.1.4/govulncheck

.PHONY: help setup build demo demo-softhsm test test-go test-js race lint fuzz bench abuse kill mpc-faults clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

setup: ## install what the tests need and this machine lacks (Node.js, SoftHSM)
	@tests/setup.sh

build: ## build the six binaries into bin/
	$(BUILD) -o bin/sallyport ./host
	CGO_ENABLED=0 $(ENCLAVE) -o bin/sallyport-enclave ./enclave
	CGO_ENABLED=0 $(ENCLAVE) -o bin/sallyport-engine ./enclave/engine
	$(ENCLAVE) -tags local -o bin/sallyport-enclave-local ./enclave
	$(BUILD) -o bin/sallyport-pkcs11 ./pkcs11/tool
	CGO_ENABLED=0 $(BUILD) -o bin/sallyport-verify ./attestation/verify

demo: build ## create a key, approve its export, verify it and open it, step by step
	@go run ./tests/demo bin

demo-softhsm: setup build ## the same, with the root in a SoftHSM token that is taken away for a while
	@go run ./tests/demo -softhsm bin

test: setup build test-go test-js ## run all tests, and a short form of the heavy ones
	@$(MAKE) --no-print-directory demo-softhsm | tail -n 2
	@$(MAKE) --no-print-directory abuse
	@$(MAKE) --no-print-directory fuzz FUZZTIME=2s
	@$(MAKE) --no-print-directory kill ROUNDS=3
	@$(MAKE) --no-print-directory mpc-faults SHORT=1
	@$(MAKE) --no-print-directory bench BENCHTIME=200x MPCTIME=1x MPCBENCH='Nodes/sign'

test-go:
	go vet ./...
	go vet -tags local ./...
	go vet -tags testroot ./...
	go test ./...
	go test -tags local ./enclave
	go test -tags testroot ./host/client/ceremony

test-js: $(CACHE)/js-$(shell sha256sum tests/js/package-lock.json | cut -c1-16)/node_modules
	ln -sfn $< tests/js/node_modules
	cd tests/js && node --test --test-concurrency=1

$(CACHE)/js-%/node_modules: tests/js/package-lock.json
	mkdir -p $(@D)
	cp tests/js/package.json tests/js/package-lock.json tests/js/.npmrc $(@D)
	cd $(@D) && npm ci --silent
	touch $@

race: ## run the Go tests under the race detector
	go test -race -short ./enclave/... ./host/... ./attestation/... ./tests/activity/...

lint: $(GOFUMPT) $(STATICCHECK) $(GOLANGCI_LINT) $(GOVULNCHECK) ## formatting, vet under every tag, staticcheck, golangci-lint, govulncheck
	@out=$$($(GOFUMPT) -l .); if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi
	go vet ./...
	go vet -tags local ./...
	go vet -tags testroot ./...
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags local ./enclave/...
	$(STATICCHECK) -tags testroot ./attestation ./enclave/enclavetest ./host/client/ceremony
	$(GOLANGCI_LINT) run ./...
	$(GOLANGCI_LINT) run --build-tags local ./enclave/...
	$(GOLANGCI_LINT) run --build-tags testroot ./attestation ./enclave/enclavetest ./host/client/ceremony
	@tests/govulncheck.sh $(GOVULNCHECK)

fuzz: ## run every fuzz target for FUZZTIME each (10s)
	@tests/fuzz.sh $(FUZZTIME)

abuse: build ## run the table of hostile inputs against a running appliance
	@go run ./tests/abuse bin

kill: build ## kill -9 host and enclave under load, ROUNDS times, and count what is there
	@go run ./tests/kill -rounds $(or $(ROUNDS),20) bin

mpc-faults: ## play a malicious party and relay in every round of MPC, and count how the cases end
	@go run ./tests/mpcfaults $(if $(SHORT),-short) -seed $(or $(SEED),1)

bench: build ## print what signing and exporting cost beside the bare cryptography, and MPC beside the bare library
	@go run ./tests/bench -benchtime $(BENCHTIME) bin
	@go test -run '^$$' -bench '$(MPCBENCH)' -benchtime $(MPCTIME) ./enclave/internal/mpc/engine

clean: ## remove what the targets made in this folder
	rm -rf bin tests/js/node_modules

define tool
$(TOOLS)/$(1)-$(2)/$(1):
	GOBIN=$$(@D) go install $(3)@$(2)
endef
$(eval $(call tool,golangci-lint,v2.15.0,github.com/golangci/golangci-lint/v2/cmd/golangci-lint))
$(eval $(call tool,staticcheck,v0.8.2,honnef.co/go/tools/cmd/staticcheck))
$(eval $(call tool,gofumpt,v0.12.0,mvdan.cc/gofumpt))
$(eval $(call tool,govulncheck,v1.1.4,golang.org/x/vuln/cmd/govulncheck))
