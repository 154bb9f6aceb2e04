# patchmesh. `make` alone lists what there is.

GO         ?= go
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS    := -s -w -X main.version=$(VERSION)
PLATFORMS  := linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME   ?= 5s
FUZZ       ?= .
PARALLEL   ?= 6
RACE       ?= ./...
SOAK       ?= ./...
E2E        ?= .
SIM        ?= mixed-small
BENCH      ?= cold10 cold24 fast10 wan10 churn10 many10 raw10 small10 honest20 liars20
RUNS       ?= 3
GOBENCH    ?= ./...
COUNT      ?= 1

# One static binary per system: no cgo anywhere but in the race detector, which needs it.
export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help build build-all test soak race fuzz lint vuln e2e wine sim demo bench gobench cover cover-verify clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## the static binary of this system, in bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

build-all: ## linux, windows and darwin on amd64 and arm64, in bin/
	@set -e; for p in $(PLATFORMS); do \
		os=$${p%/*}; arch=$${p#*/}; ext=; [ $$os != windows ] || ext=.exe; \
		echo "build $$os/$$arch"; \
		GOOS=$$os GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' \
			-o bin/patchmesh-$$os-$$arch$$ext ./cmd/patchmesh; \
	done

test: ## the tests: no network, no root, a few minutes
	$(GO) test -timeout 20m -parallel $(PARALLEL) ./...

# In memory where there is a file system for that: thousands of installs would else wait for the disk.
soak: ## the tests with the full numbers of seeded runs; SOAK=./policy/... for a part
	TMPDIR=$${TMPDIR:-$$(test ! -w /dev/shm || echo /dev/shm)} GOTMPDIR=$${GOTMPDIR:-/tmp} PATCHMESH_SOAK=1 $(GO) test -timeout 90m $(SOAK)

race: ## the tests under the race detector; RACE=./swarm/... for a part
	CGO_ENABLED=1 $(GO) test -race -timeout 40m $(RACE)

fuzz: ## every fuzz target for a few seconds; FUZZTIME=1000000x FUZZ=./policy for more of a part
	@set -e; grep -rlE --include='*_test.go' '^func Fuzz[A-Z]' $(FUZZ) | sort | while read -r file; do \
		for name in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$$file"); do \
			echo "fuzz $$(dirname "$$file") $$name"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$(dirname "$$file")" </dev/null; \
		done; \
	done

lint: vuln ## gofmt, go vet for three systems, staticcheck, known vulnerabilities
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not formatted (run gofmt -w):"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

vuln: ## known vulnerabilities that the program can reach; skipped where their database cannot be had
	@out=$$($(GO) run $(GOVULNCHECK) ./cmd/patchmesh 2>&1); code=$$?; case "$$out" in \
		*"fetching vulnerabilities"*) echo "govulncheck skipped: its database cannot be had here" ;; \
		*) echo "$$out"; exit $$code ;; \
	esac

e2e: ## the main job in network namespaces, measured from outside (root on Linux); E2E=Cut for a part
	PATCHMESH_E2E=1 $(GO) test -count=1 -v -timeout 20m -run '^TestLab' ./bench
	PATCHMESH_E2E=1 $(GO) test -count=1 -v -timeout 20m -run '^TestE2E$$/$(E2E)' ./cmd/patchmesh

wine: ## the Windows program and the tests of its parts, where Wine and wixl are (Debian: wine64 wixl)
	PATCHMESH_SOAK=1 $(GO) test -count=1 -v -timeout 30m -run 'UnderWine$$' ./cmd/patchmesh

sim: build ## mixed faults in virtual time; SIM=shop-5 for another scenario
	bin/patchmesh sim $(SIM)

demo: build ## the whole story on this computer: a seed, two sites, real bytes
	bin/patchmesh demo

bench: build ## patchmesh beside other tools, in network namespaces (root, hours); BENCH=cold10 RUNS=1 for a part
	bin/patchbench packages --install || echo "bench: contenders that are not installed are left out"
	set -e; for s in $(BENCH); do bin/patchbench run --scenario $$s --runs $(RUNS) --skip-missing; done
	bin/patchbench table

gobench: ## Go benchmarks of every package, for benchstat: GOBENCH=./content/... COUNT=10
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) $(GOBENCH)

cover: ## test coverage by function, total last
	$(GO) test -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out

# What decides whether a document is believed: the figure that must stay at 100 %.
VERIFY_PKGS := ./policy ./node/trustdir ./node/apply ./node/enrol ./node/keys
VERIFY := /policy/(address|clock|decode|delegated|delegation|document|floor|gossipepoch|key|manifest|merge|refresh|revocation|rolemanifest|roster|rosterkey|trust|tuf_[a-z]+)[.]go|/node/trustdir/|/node/apply/(role|wire|server)[.]go|/node/enrol/(answer|box|certificate|issuer|request|token)[.]go|/node/keys/pem[.]go
comma := ,
empty :=

cover-verify: ## statement coverage of the verification code, and what is not covered
	$(GO) test -coverpkg=$(subst $(empty) $(empty),$(comma),$(VERIFY_PKGS)) -coverprofile=verify.out $(VERIFY_PKGS)
	@awk 'NR > 1 && $$1 ~ "$(VERIFY)" { size[$$1] = $$2; hits[$$1] += $$3 } \
		END { for (b in size) { all += size[b]; if (hits[b]) done += size[b]; else print "not covered: " b } \
		printf "verification code: %d of %d statements, %.1f %%\n", done, all, 100 * done / all }' verify.out

clean: ## removes what make made
	rm -rf bin cover.out verify.out
