# One line per target; `make help` lists them. `make test` is what CI runs.
GO ?= go
FUZZTIME ?= 30s
COUNT ?= 1
SOAKTIME ?= 10m
DEBARCHS ?= amd64 arm64
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
STATICCHECK = $(GO) tool -modfile=tools/go.mod staticcheck
GOLANGCI    = $(GO) tool -modfile=tools/golangci.mod golangci-lint

.DEFAULT_GOAL := build
.PHONY: help build test packages lint guards race unit e2e faults fuzz bench stages soak cover docs shots deb walk run clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./dnsblproxy
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o dnsblproxy ./cmd/dnsblproxy

test: packages lint guards race ## everything: packages, linters, guards, all tests with the race detector, daemons included

packages: ## install the Debian packages that the end-to-end tests run, if missing
	scripts/test-packages.sh

lint: ## gofmt, go vet, staticcheck, golangci-lint
	@files=$$(gofmt -l .) || exit 1; [ -z "$$files" ] || { echo "not gofmt'ed:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	$(STATICCHECK) ./...
	$(GOLANGCI) run ./...

race: ## all tests with the race detector, in random order
	$(GO) test -race -shuffle=on -timeout=20m ./...

guards: ## allocations, instructions and memory, without the race detector
	$(GO) test -count=1 -run='_allocs$$|^TestInstructions$$' ./cache ./overrides/... ./resolver/...
	$(GO) test -count=1 -run='^TestDataFile_cost$$' ./cmd/dnsblproxy/internal/e2e

unit: ## the tests that start no daemon
	$(GO) test -short -shuffle=on ./...

e2e: ## the end-to-end tests alone: resolvers, rbldnsd and Postfix on loopback
	$(GO) test -race -count=1 -timeout=15m -v ./cmd/dnsblproxy/internal/e2e

faults: ## print the table of faults that README shows
	$(GO) test -count=1 -run='^TestFaults$$' -v ./cmd/dnsblproxy/internal/e2e | grep '|'

fuzz: ## every fuzz target for FUZZTIME (30s) each
	scripts/fuzz.sh $(FUZZTIME)

bench: ## compare with other DNS servers, about eleven minutes (BENCHFLAGS=-short: a minute and a half)
	$(GO) run ./bench $(BENCHFLAGS)

stages: ## the Go benchmarks of each stage of a packet's way, for benchstat
	$(GO) test -run='^$$' -bench=. -benchmem -count=$(COUNT) ./...

soak: ## questions, faults and reloads against the live server for SOAKTIME (10m)
	DNSBLPROXY_SOAK=$(SOAKTIME) $(GO) test -race -count=1 -timeout=0 -run='^TestSoak$$' -v ./cmd/dnsblproxy/internal/e2e

cover: ## coverage of the unit tests, per function, in coverage.out
	$(GO) test -short -coverprofile=coverage.out -coverpkg=./... ./... && $(GO) tool cover -func=coverage.out | tail -n 1

docs: ## write man pages, completions and references in docs/ anew from the code
	$(GO) test ./cmd/dnsblproxy -run='^TestDocs$$' -count=1 -update

shots: ## the pictures of the page in docs/, by headless Chromium
	DNSBLPROXY_CHROMIUM=1 $(GO) test ./cmd/dnsblproxy/internal/admin -run='^TestBrowser' -count=1

deb: ## build dist/*.deb for amd64 and arm64
	GO='$(GO)' deploy/deb/build.sh $(DEBARCHS)

walk: ## boot a fresh Debian in an emulator and follow README there, as root; minutes
	deploy/walk/run.sh

run: ## serve config.example.toml
	$(GO) run ./cmd/dnsblproxy serve --config config.example.toml

clean: ## remove what the targets built
	rm -rf dnsblproxy dist coverage.out
