#!/usr/bin/env bash
# Lets a thousand workers, played by bench/fleet, wait for work at two masters, and
# measures what they cost while there is none, and how fast a new task reaches one.
# usage: bench/fleet.sh [options of bench/fleet]   on Linux
# FLEET_PORT is the first of five ports. Everything that was started is stopped at the end.
set -eu
cd "$(dirname "$0")/.."
port=${FLEET_PORT:-18399}
work=$(mktemp -d); declare -A pids
stop() { kill "${pids[@]}" 2>/dev/null || true; wait || true; rm -rf "$work"; }
trap stop EXIT
CGO_ENABLED=0 go build -o "$work/imagemill" ./cmd/imagemill
go build -o "$work/fleet" ./bench/fleet
export IMAGEMILL_DISCOVERY=consul://127.0.0.1:$((port + 1)) IMAGEMILL_NATS=nats://127.0.0.1:$((port + 2))
run() { local name=$1; shift; "$work/imagemill" "$@" >"$work/$name.log" 2>&1 & pids[$name]=$!; }
run nats nats --listen "127.0.0.1:$((port + 2))"
run kvstore kvstore --listen "127.0.0.1:$((port + 1))" --data "$work/kv"
until curl -sf "http://127.0.0.1:$((port + 1))/v1/status/leader" | grep -q :; do kill -0 "${pids[@]}"; sleep 0.1; done
run taskdb taskdb --listen 127.0.0.1:0 --path "$work/tasks.db"
run storage storage --listen 127.0.0.1:0 --data "$work/blobs"
run master-1 imagemaster --listen "127.0.0.1:$((port + 3))"
run master-2 imagemaster --listen "127.0.0.1:$((port + 4))"
masters=
for n in 3 4; do
	at=http://127.0.0.1:$((port + n)); masters=$masters,$at
	until curl -sf "$at/readyz" >/dev/null; do kill -0 "${pids[@]}"; sleep 0.1; done
done
counted=
for name in master-1 master-2 taskdb nats kvstore storage; do counted=$counted,$name=${pids[$name]}; done
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, $(git rev-parse --short HEAD)"
"$work/fleet" --masters "${masters#,}" --processes "${counted#,}" "$@"
