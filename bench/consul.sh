#!/usr/bin/env bash
# Measures kvstore beside a real Consul's development agent, by turns in one run:
# PUT and GET rates, fan-out of one change to 1,000 waiting queries, memory.
# kvstore runs twice: in memory, as the agent does, and on disk with fsync.
# Memory is looked at after ten seconds of rest. It takes two minutes, after "make
# consul". Linux only.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/imagemill" ./cmd/imagemill
go test -c -o "$work/kvstore.test" ./services/kvstore
echo "== load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, $(go version), $(git rev-parse --short HEAD)"
cd services/kvstore
IMAGEMILL_BENCH_PROGRAM="$work/imagemill" ${BENCH_ALONE:-} "$work/kvstore.test" -test.run '^$' -test.bench BesideConsul -test.benchtime 1x -test.v
