# make help lists every target. Each works on a fresh clone; what it builds lands in bin/ and Go's build cache.
SHELL := /bin/bash
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
FUZZTIME ?= 1m
BENCHTIME ?= 1s
DOMAINS ?= 50000
POLICIES ?= 10000
NODES ?= 3
RUN ?= .
IMAGE ?= calfed:$(shell sed -n 's/^appVersion: *//p' charts/calfed/Chart.yaml | tr -d '"')

.DEFAULT_GOAL := help
.PHONY: help build test scale kubernetes lint fuzz generate verify demo conformance interop interop-deps bench image deploytools clean \
	cluster-deps cluster-up cluster-down cluster-load cluster-status e2e e2e-images sizing

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/calfed, static
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/calfed ./cmd/calfed

demo: ## Two organisations on loopback: invite, reply, cancel, free/busy, and three attacks refused
	go run ./cmd/calfed demo

test: ## Run every test with the race detector, where needed against a Kubernetes API server (see kubernetes)
	assets=$$(hack/cluster/build.sh) && KUBEBUILDER_ASSETS=$$assets go test -race -timeout 30m ./...

kubernetes: ## Build etcd and the Kubernetes programs for the tests: ten minutes, once (KUBEBUILDER_ASSETS names others)
	hack/cluster/build.sh

conformance: ## Print requirement id -> tests -> pass, and fail when an id in scope has no passing test
	go run ./hack/conformance

interop: interop-deps build ## Two organisations of real calendar, mail and DNS servers (Debian, root)
	go test -tags interop -count=1 -timeout 20m -p 1 -v ./hack/interop ./gateway/backend/caldav ./hack/operator ./controllers/publish

interop-deps: ## Install what interop needs (Debian packages), when it is not there
	hack/interop/install.sh

fuzz: ## Run every fuzz target for FUZZTIME (1m each)
	hack/fuzz.sh $(FUZZTIME)

bench: ## Inbound, outbound and parser benchmarks beside their baselines (BENCHTIME each)
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./gateway/... ./controllers/...

scale: kubernetes ## The operator with DOMAINS (50000) domains and POLICIES (10000): times, memory, bytes written
	KUBEBUILDER_ASSETS=$$(hack/cluster/build.sh) go test ./hack/scale -count=1 -v -timeout 3h -domains $(DOMAINS) -policies $(POLICIES)

lint: bin/golangci-lint ## Vet, format, import floors
	bin/golangci-lint run ./...
	bin/golangci-lint run --build-tags interop ./hack/... ./gateway/backend/caldav/... ./controllers/publish/...
	bin/golangci-lint run --build-tags e2e ./hack/e2e/...

generate: bin/controller-gen ## Regenerate deepcopy code, CRDs, RBAC rules, and what the chart has of them
	bin/controller-gen object paths=./api/...
	bin/controller-gen crd paths=./api/... output:crd:artifacts:config=config/crd
	bin/controller-gen rbac:roleName=calfed-manager paths=./controllers/... output:rbac:artifacts:config=config/rbac
	go run ./hack/chart

verify: generate ## Fail when generated files or go.mod are stale
	go mod tidy
	go -C hack/tools mod tidy
	go -C hack/deploytools mod tidy
	go -C hack/cluster/etcd mod tidy
	go -C hack/cluster/kubeall mod tidy
	go -C hack/cluster/addons mod tidy
	go -C hack/cluster/tools mod tidy
	@git diff --exit-code -- api config charts go.mod go.sum hack/tools hack/deploytools hack/cluster || { echo 'stale: run make generate and go mod tidy, commit the result' >&2; exit 1; }

# image-of NAME,PROGRAM,PATH: bin/PROGRAM-image.tar, which runs bin/PROGRAM as PATH
image-of = go run -C hack/cluster/tools ./image -name $(1) -out $(CURDIR)/bin/$(2)-image.tar -entrypoint $(3) \
	$(3)=$(CURDIR)/bin/$(2) /etc/ssl/certs/ca-certificates.crt=/etc/ssl/certs/ca-certificates.crt

image: build ## Write bin/calfed-image.tar, an image of bin/calfed named IMAGE (calfed:VERSION of the chart), without a container engine
	$(call image-of,$(IMAGE),calfed,/calfed)

e2e: cluster-deps interop-deps deploytools e2e-images ## On a real cluster, with real calendar servers (Debian, root): that of KUBECONFIG, or one of its own; RUN=regexp of tests
	hack/e2e/run.sh -run '$(RUN)'

sizing: cluster-deps deploytools e2e-images ## What pods need, by messages and by domains, on a cluster of one node of its own: an hour; RUN=rates or domains, SIZING=flags
	CLUSTER=sizing NODES=1 hack/e2e/run.sh -timeout 4h -run 'TestSizing/$(RUN)' -args -sizing $(SIZING)

e2e-images: image ## Write the images that e2e needs beside calfed's: another version of it, and the load
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=next' -o bin/calfed-next ./cmd/calfed
	$(call image-of,calfed:next,calfed-next,/calfed)
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/peer ./hack/e2e/peer
	$(call image-of,calfed.test/peer:1,peer,/peer)

cluster-deps: ## Install what a cluster runs beside Kubernetes (Debian packages), when it is not there
	hack/cluster/install.sh

cluster-up: cluster-deps ## Start a real Kubernetes of NODES (3) nodes on this machine (root); CLUSTER=name for another beside it
	hack/cluster/cluster.sh up $(NODES)

cluster-load: image ## Import bin/calfed-image.tar into every node
	hack/cluster/cluster.sh load bin/calfed-image.tar

cluster-status: ## Nodes and pods
	hack/cluster/cluster.sh status

cluster-down: ## End the cluster, and forget all it had
	hack/cluster/cluster.sh down

deploytools: ## Build helm and kustomize into Go's cache: three minutes, once
	go -C hack/deploytools tool -n helm
	go -C hack/deploytools tool -n kustomize

clean: ## Remove bin/
	rm -rf bin

bin/golangci-lint: hack/tools/go.sum
	go build -C hack/tools -o $(CURDIR)/bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint && touch $@

bin/controller-gen: hack/tools/go.sum
	go build -C hack/tools -o $(CURDIR)/bin/ sigs.k8s.io/controller-tools/cmd/controller-gen && touch $@
