# imagemill's everyday commands. CI calls nothing but these, so that local is CI.
SHELL := /bin/bash
# Whichever there is: Compose v2 as docker's own command, or docker-compose 1.29.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) -f deploy/compose.yaml
LINT  := go tool -modfile=tools/golangci/go.mod golangci-lint

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: build
build: ## Build the program as bin/imagemill
	CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -o bin/imagemill ./cmd/imagemill

.PHONY: run
run: ## Run the whole suite in one process, data in ./data
	go run ./cmd/imagemill up

.PHONY: consul
consul: bin/consul ## Build the real Consul that kvstore is compared with, as bin/consul (minutes, once)

bin/consul: tools/consul/go.mod tools/consul/go.sum
	cd tools/consul && CGO_ENABLED=0 go build -o ../../bin/consul github.com/hashicorp/consul

.PHONY: versitygw
versitygw: bin/versitygw ## Build the real S3 server that object storage is tried on, as bin/versitygw (a minute, once)

bin/versitygw: tools/versitygw/go.mod tools/versitygw/go.sum
	cd tools/versitygw && CGO_ENABLED=0 go build -o ../../bin/versitygw github.com/versity/versitygw/cmd/versitygw

.PHONY: test
test: bin/consul bin/versitygw ## Run all tests
	go test ./...

# Other packages of engines have no file that the tag changes, and the registry does
# not care what is linked in: make test has shown these.
.PHONY: native
native: ## Run the tests of what the native engine adds; it needs libvips, libjpeg-turbo and libwebp
	go vet -tags vips ./services/worker/... ./cmd/...
	$(LINT) run --timeout 30m --build-tags vips ./services/worker/... ./cmd/...
	go test -tags vips -count=1 -timeout 40m ./services/worker/engine/{native,turbo,vips}/...
	go test -tags vips -count=1 -timeout 40m -skip 'Watchers|ThreeNodes|StaticRegistry' ./cmd/...

.PHONY: race
race: bin/consul bin/versitygw ## Run the tests with the race detector, without the long end-to-end ones
	go test -race -short -timeout 40m ./...

RUN ?= Test
.PHONY: e2e
e2e: bin/versitygw ## Run the end-to-end scenarios over all topologies, and the kill tour; RUN=TestGossip only those of that name
	IMAGEMILL_E2E_MINUTES=0.75 go test -count=1 -timeout 50m -v -run '$(RUN)' ./e2e ./cmd/imagemill

MINUTES ?= 30
.PHONY: chaos
chaos: ## Run the fault lab for long: MINUTES (30) each on SQLite, on PostgreSQL and on two storages; root adds full disks, IMAGEMILL_E2E_SEED repeats
	IMAGEMILL_E2E_MINUTES=$(MINUTES) go test -count=1 -timeout 0 -v -run 'TestChaos' ./e2e
	IMAGEMILL_POWERCUT_ROUNDS=$(MINUTES) IMAGEMILL_POWERCUT_STATES=$$((100 * $(MINUTES))) \
		go test -count=1 -timeout 0 -v -run 'TestPowerCut' ./services/storage/disk ./services/taskdb/sqlite

.PHONY: e2e-compose
e2e-compose: airgap image ## Run them over containers, with the kill tour, scaling and a rolling restart
	IMAGEMILL_E2E_COMPOSE=1 go test -count=1 -timeout 60m -v -run 'TestCompose' ./e2e

.PHONY: check
check: fmt vet tidy cross lint ## Check format, vet, tidiness, cross-compilation and lint

.PHONY: fmt
fmt: ## Fail where gofmt would change something
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }

.PHONY: vet
vet: ## Run go vet
	go vet ./...
	go vet -tags nonats ./cmd/...
	go vet -tags nocloud ./cmd/...
	go vet -tags faultlab ./cmd/...
	go vet -tags gcs ./services/storage/... ./cmd/...

.PHONY: tidy
tidy: ## Fail where go.mod or go.sum is not tidy
	go mod tidy -diff

.PHONY: cross
cross: ## Compile for every system that is promised, without a C compiler
	@set -e; for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build ./cmd/...; done; done

.PHONY: lint
lint: ## Run golangci-lint
	$(LINT) run --timeout 30m ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for ten thousand inputs
	@set -e; for pkg in $$(go list ./...); do \
		list=$$(go test -list '^Fuzz' $$pkg); \
		for f in $$(grep '^Fuzz' <<<"$$list" || true); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime 10000x $$pkg; done; done

.PHONY: hostile
hostile: ## Run all hostile files and 20,000 mutations through four pipelines and both engines (some ten minutes); other tests take a part
	IMAGEMILL_HOSTILE_ALL=1 go test -count=1 -timeout 60m -v -run 'TestHostile$$' ./services/worker/engine/process
	IMAGEMILL_HOSTILE_ALL=1 go test -tags vips -count=1 -timeout 60m -v -run 'TestHostileFiles$$' ./services/worker/engine/native

.PHONY: soak
soak: ## Send 10,000 mixed pictures through one worker in a control group of 1 GiB; needs root
	bench/soak.sh native
	bench/soak.sh imaging 2000

.PHONY: bench
bench: ## Run the benchmarks of the packages
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-smoke
bench-smoke: bin/consul bin/versitygw ## Run each benchmark once, to see that it works
	go test -run '^$$' -bench . -benchtime 1x ./internal/... ./pkg/... ./services/storage/... ./services/worker/... ./services/kvstore/...
	go test -run '^$$' -bench 'Claim1k|Create' -benchtime 1x ./services/taskdb/...

.PHONY: image
image: ## Build the container image, imagemill:latest
	deploy/image.sh

.PHONY: airgap
airgap: ## Make the public base images, or stand-ins for them where no registry is reached
	deploy/airgap/build.sh

.PHONY: compose
compose: airgap image ## Build and start the stack in containers, and take a picture through it
	$(COMPOSE) up -d --no-build || { $(COMPOSE) logs secrets; exit 1; }
	deploy/walk.sh

.PHONY: compose-down
compose-down: ## Stop the stack; its volumes stay
	$(COMPOSE) down
