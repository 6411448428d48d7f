#!/usr/bin/env bash
# Takes the figures of docs/benchmarks.md, on Linux, one after the other.
# usage: bench/run.sh [12-megapixel JPEG]   without one, a picture is generated
# BENCH_PARTS="up memory" selects what is run, BENCH_PORT the frontend's port.
# Everything is bounded in time; what was started is stopped at the end.
set -u
cd "$(dirname "$0")/.."
photo=$(realpath -e "${1:-/dev/null}"); [ -s "$photo" ] || photo=12mp
work=$(mktemp -d); pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
bin=$work/imagemill; port=${BENCH_PORT:-18099}; url=http://127.0.0.1:$port
CGO_ENABLED=0 go build -o "$bin" ./cmd/imagemill || exit 1
load() { timeout 60 "$bin" bench --url "$url" "$@" 2>&1; }
now() { date +%s%3N; }
# first waits for the first accepted upload and prints the time since $1.
first() {
  for _ in $(seq 1000); do
    [ "$(curl -s -o /dev/null -w '%{http_code}' --data-binary @"$work/one.png" "$url/newImage")" = 202 ] &&
      { echo "start to first upload accepted: $(($(now) - $1)) ms"; return; }
  done
  echo "no upload was accepted"; cat "$work"/*.log; exit 1
}
# 1x1 PNG.
base64 -d >"$work/one.png" <<<iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==
run() { local name=$1; shift; "$bin" "$@" >"$work/$name.log" 2>&1 & pids+=($!); eval "pid_$name=$!"; }

echo "== load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, $(go version), $(git rev-parse --short HEAD)"
parts=" ${BENCH_PARTS:-up memory} "
if [[ $parts = *" up "* ]]; then
for i in 1 2 3; do
  begin=$(now); run up$i up --data "$work/up$i" --frontend-listen "127.0.0.1:$port"; first "$begin"
  [ $i = 3 ] || { kill "${pids[-1]}"; wait "${pids[-1]}" 2>/dev/null; }
done
echo "== one client, tiny";  for _ in 1 2 3; do load --clients 1 --count 500 --warm 50; done
echo "== 64 clients, tiny";  for _ in 1 2 3; do load --clients 64 --count 3000 --warm 100; done
echo "== 64 clients, tiny, verified"; load --clients 64 --count 1000 --verify
for _ in 1 2; do
  echo "== 12 MP, suite";        load --clients 1 --count 10 --warm 2 --picture "$photo"
  echo "== 12 MP, engine alone"; load --engine --clients 1 --count 10 --warm 2 --picture "$photo"
done
kill "$pid_up3"; wait "$pid_up3" 2>/dev/null
fi
[[ $parts = *" memory "* ]] || exit 0

echo "== memory of separate processes while 16 of 12 MP upload at once"
export IMAGEMILL_DISCOVERY=consul://127.0.0.1:18500 IMAGEMILL_NATS=nats://127.0.0.1:18422
run nats nats --listen 127.0.0.1:18422; run kvstore kvstore --listen 127.0.0.1:18500 --data "$work/kv"
for _ in $(seq 200); do curl -sf http://127.0.0.1:18500/v1/status/leader | grep -q : && break; done
run taskdb taskdb --listen 127.0.0.1:0 --path "$work/tasks.db"
run storage storage --listen 127.0.0.1:0 --data "$work/blobs"
run imagemaster imagemaster --listen 127.0.0.1:0; run worker worker
run frontend frontend --listen "127.0.0.1:$port"; first "$(now)"
load --clients 4 --count 50 >/dev/null
rss() { for s in nats kvstore taskdb storage imagemaster frontend; do
  p=pid_$s; awk -v s=$s -v k="$1" '$1==k":" {printf "%s %.1f MB\n", s, $2/1024}' "/proc/${!p}/status"; done; }
rss VmRSS >"$work/before"; load --clients 16 --count 16 --picture "$photo"; rss VmHWM >"$work/after"
echo "service, before, peak"; paste "$work/before" "$work/after"
