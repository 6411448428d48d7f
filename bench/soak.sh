#!/usr/bin/env bash
# Sends ten thousand mixed pictures, good and hostile, through one worker in a control
# group of 1 GiB, and fails when its memory grows, when the kernel kills a process of
# it, or when an image does not end as it should.
# usage: bench/soak.sh [native|imaging] [pictures]   on Linux, as root
# SOAK_LIMIT is the group's limit in bytes, SOAK_PORT the frontend's port; the two
# above it are used too. Everything that was started is stopped at the end.
set -eu
cd "$(dirname "$0")/.."
kind=${1:-native}; count=${2:-10000}; limit=${SOAK_LIMIT:-$((1 << 30))}; port=${SOAK_PORT:-18299}
work=$(mktemp -d); pids=(); group=
stop() {
	kill "${pids[@]}" 2>/dev/null || true
	wait || true
	# Engines end a moment after their worker.
	[ -z "$group" ] || until rmdir "$group" 2>/dev/null; do [ -z "$(<"$group/cgroup.procs")" ] || sleep 0.1; done
	rm -rf "$work"
}
trap stop EXIT
CGO_ENABLED=0 go build -o "$work/imagemill" ./cmd/imagemill
[ "$kind" = imaging ] || CGO_ENABLED=1 go build -tags vips -o "$work/imagemill-engine" ./cmd/imagemill-engine
go build -o "$work/soak" ./bench/soak
if [ -d /sys/fs/cgroup/memory ]; then
	group=/sys/fs/cgroup/memory/imagemill-soak-$$
	mkdir "$group"; echo "$limit" >"$group/memory.limit_in_bytes"
else
	group=/sys/fs/cgroup/imagemill-soak-$$
	mkdir "$group"; echo "$limit" >"$group/memory.max"; echo 0 >"$group/memory.swap.max" 2>/dev/null || true
fi
export IMAGEMILL_DISCOVERY=consul://127.0.0.1:$((port + 1)) IMAGEMILL_NATS=nats://127.0.0.1:$((port + 2)) IMAGEMILL_WORKER_ENGINE=$kind
run() { local name=$1; shift; "$work/imagemill" "$@" >"$work/$name.log" 2>&1 & pids+=($!); }
run nats nats --listen "127.0.0.1:$((port + 2))"
run kvstore kvstore --listen "127.0.0.1:$((port + 1))" --data "$work/kv"
until curl -sf "http://127.0.0.1:$((port + 1))/v1/status/leader" | grep -q :; do kill -0 "${pids[@]}"; sleep 0.1; done
run taskdb taskdb --listen 127.0.0.1:0 --path "$work/tasks.db"
run storage storage --listen 127.0.0.1:0 --data "$work/blobs"
run imagemaster imagemaster --listen 127.0.0.1:0
run frontend frontend --listen "127.0.0.1:$port"
# Its own first process is in the group before the worker begins.
(echo "$BASHPID" >"$group/cgroup.procs"; exec "$work/imagemill" worker ${SOAK_WORKER:-} >"$work/worker.log" 2>&1) & pids+=($!)
until curl -sf "http://127.0.0.1:$port/readyz" >/dev/null; do kill -0 "${pids[@]}"; sleep 0.1; done
echo "$kind engine, $count pictures, $(nproc) cores, group of $((limit >> 20)) MiB, $(git rev-parse --short HEAD)"
code=0
"$work/soak" --url "http://127.0.0.1:$port" --group "$group" --count "$count" || code=$?
echo "deaths of engine processes: $(grep -c 'engine process died' "$work/worker.log" || true)"
grep 'engine process died' "$work/worker.log" | head -5 || true
[ -z "${SOAK_KEEP:-}" ] || cp "$work"/*.log "$SOAK_KEEP"
exit "$code"
