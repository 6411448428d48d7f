#!/usr/bin/env bash
# Measures the stack in containers beside "imagemill up" on the same machine in
# one run: time to the first upload, throughput and latency of tiny pictures by
# turns, and what the idle stack costs. It needs Docker and the image; what it
# started, it removes.
# usage: bench/compose.sh [photo.jpg]   BENCH_PARTS="tiny inside photo idle" selects.
# BENCH_PROJECT and BENCH_PORT, of which the next is used too, let two run side by side.
# "inside" is the load tool in a container on the frontend's network, whose packets
# do not pass Docker's proxy of the published port, as those of another machine do not.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d); project=${BENCH_PROJECT:-imagemill-bench}; port=${BENCH_PORT:-18098}
compose() { IMAGEMILL_PORT=$port ${COMPOSE_TOOL} -f deploy/compose.yaml -p "$project" "$@"; }
COMPOSE_TOOL="docker-compose"; docker compose version >/dev/null 2>&1 && COMPOSE_TOOL="docker compose"
up=0
finish() { compose down -v --timeout 5 >/dev/null 2>&1 || true; [ $up = 0 ] || { kill $up; wait $up; } 2>/dev/null || true; rm -rf "$work"; }
trap finish EXIT
CGO_ENABLED=0 go build -o "$work/imagemill" ./cmd/imagemill
# The image has the native engine, so up gets it as well, where it can be built.
engine="pure Go"
if pkg-config --exists vips 2>/dev/null; then go build -tags vips -o "$work/imagemill-engine" ./cmd/imagemill-engine; engine=native; fi
image=${IMAGEMILL_IMAGE:-imagemill:latest}
within() { timeout 120 docker run --rm --network "${project}_public" "$image" bench --url http://frontend:8080 --clients "$1" --count "$2" --warm 100 2>&1 | grep -E 'finished|a second'; }
load() { timeout 120 "$work/imagemill" bench --url "$1" --clients "$2" --count "$3" --warm 100 2>&1 | grep -E 'finished|a second'; }
ready() { for _ in $(seq 600); do curl -sf -o /dev/null "$1/readyz" && return; sleep 0.1; done; echo "not ready: $1"; exit 1; }

echo "== load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, $(git rev-parse --short HEAD), engine of up: $engine"
begin=$(date +%s%3N)
compose up -d --no-build >/dev/null 2>&1
ready "http://127.0.0.1:$port"; echo "compose up to ready: $(($(date +%s%3N) - begin)) ms"
"$work/imagemill" up --data "$work/up" --frontend-listen 127.0.0.1:$((port + 1)) >/dev/null 2>&1 & up=$!
ready "http://127.0.0.1:$((port + 1))"
parts=" ${BENCH_PARTS:-tiny inside photo idle} "; photo=${1:-}
[[ $parts = *" tiny "* ]] && for _ in 1 2 3; do
	for clients in 1 64; do
		count=$((clients == 1 ? 300 : 2500))
		echo "== up, $clients clients"; load "http://127.0.0.1:$((port + 1))" $clients $count
		echo "== compose, $clients clients"; load "http://127.0.0.1:$port" $clients $count
	done
done
[[ $parts = *" inside "* ]] && for _ in 1 2 3; do
	for clients in 1 64; do
		count=$((clients == 1 ? 300 : 2500))
		echo "== up, $clients clients"; load "http://127.0.0.1:$((port + 1))" $clients $count
		echo "== compose, $clients clients within its network"; within $clients $count
	done
done
[[ $parts = *" photo "* && -n $photo ]] && for _ in 1 2 3; do
	for at in "up $((port + 1))" "compose $port"; do
		echo "== ${at% *}, 4 clients, $(basename "$photo")"
		timeout 120 "$work/imagemill" bench --url "http://127.0.0.1:${at#* }" --clients 4 --count 24 --warm 4 --picture "$photo" 2>&1 | grep -E 'finished|a second'
	done
done
kill $up; wait $up 2>/dev/null || true; up=0
[[ $parts = *" idle "* ]] || exit 0

echo "== the idle stack, once engines have gone to rest, over a minute"
ids=$(docker ps -q --no-trunc --filter "label=com.docker.compose.project=$project")
usage() { for id in $ids; do
	f=$(ls -d /sys/fs/cgroup/cpuacct/docker/"$id"/cpuacct.usage /sys/fs/cgroup/docker/"$id"/cpu.stat /sys/fs/cgroup/system.slice/docker-"$id".scope/cpu.stat 2>/dev/null | head -1)
	case $f in *cpuacct.usage) awk '{s += $1 / 1000} END {print s}' "$f" ;; *) awk '/^usage_usec/ {print $2}' "$f" ;; esac
done | awk '{s += $1} END {printf "%d\n", s}'; }
# What several processes share, such as the pages of libvips, counts in each of
# them as resident, and once in the sum of their proportional shares.
rss() { for id in $ids; do docker top "$id" -eo pid,rss | awk 'NR > 1 {print $1, $2}'; done | while read -r pid kb; do
	echo "$kb $(awk '/^Pss:/ {print $2}' "/proc/$pid/smaps_rollup")"
done | awk '{r += $1; p += $2} END {printf "%.0f MB resident, summed; %.0f MB with shared pages counted once\n", r / 1024, p / 1024}'; }
sleep 60; a=$(usage); sleep 60; b=$(usage)
echo "$((b - a)) µs of processor time in 60 s: $(awk "BEGIN {printf \"%.2f\", ($b - $a) / 600000}") % of one core"; rss
