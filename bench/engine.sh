#!/usr/bin/env bash
# Measures the native engine beside the yardstick, a C program that calls libvips
# for each result by itself: processor time for one job, in alternation.
# usage: bench/engine.sh [12-megapixel JPEG]   on Linux, with libvips' headers
# BENCH_ROUNDS is how often each pair is measured, BENCH_CASES what is measured;
# the case "pool" is the engine pool beside two threads of the yardstick, BENCH_POOL
# which of its jobs.
set -eu
cd "$(dirname "$0")/.."
photo=$(realpath -e "${1:-../shared/photos/nuthatch-12mp.jpg}")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
rounds=${BENCH_ROUNDS:-3}
cc -O2 -o "$work/thumbnail" bench/yardstick/thumbnail.c $(pkg-config --cflags --libs vips)
go test -tags vips -c -o "$work/native" ./services/worker/engine/native
go build -tags vips -o "$work/imagemill-engine" ./cmd/imagemill-engine
vips copy "$photo" "$work/photo.png[compression=6]" 2>/dev/null
vips copy "$photo" "$work/photo.avif[Q=80]" 2>/dev/null
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, libvips $(pkg-config --modversion vips), $(git rev-parse --short HEAD)"

# ours BENCHMARK PICTURE prints the milliseconds of processor time and the peak in MB.
ours() {
  (cd services/worker/engine/native && GOMAXPROCS=1 IMAGEMILL_BENCH_PICTURE=$2 "$work/native" -test.run '^$' -test.bench "^$1\$" -test.benchtime "${BENCH_TIME:-2s}") |
    awk '/cpu-ms/ {for (i = 1; i < NF; i++) {if ($(i+1) == "cpu-ms/op") c = $i; if ($(i+1) == "peak-MB") m = $i}} END {print c, m}'
}
# beside NAME BENCHMARK PICTURE ROUNDS FORMATS WIDTH... prints the best of each, and their ratio.
beside() {
  local name=$1 bench=$2 picture=$3 n=$4; shift 4
  [[ " ${BENCH_CASES:-all} " == *" all "* || " $BENCH_CASES " == *" $name "* ]] || return 0
  for _ in $(seq "$rounds"); do
    echo "$(VIPS_WARNING=0 "$work/thumbnail" "$picture" "$n" "$@" 2>/dev/null) $(ours "$bench" "$picture")"
  done | awk -v name="$name" '
    NR == 1 || $1 < y {y = $1} NR == 1 || $4 < o {o = $4} {ym = $3; om = $5}
    END {printf "%-14s yardstick %8.1f ms %5d MB   ours %8.1f ms %5d MB   ratio %.2f\n", name, y, ym, o, om, y / o}'
}
six="320 640 960 1280 1920 2560"
beside one        BenchmarkEngines/native/one    "$photo" 20 jpeg 800
beside one-vips   BenchmarkEngines/vips/one      "$photo" 20 jpeg 800
beside six        BenchmarkEngines/native/six    "$photo" 5 jpeg $six
beside six-vips   BenchmarkEngines/vips/six      "$photo" 5 jpeg $six
beside twelve     BenchmarkEngines/native/twelve "$photo" 3 both $six
beside twelve-vips BenchmarkEngines/vips/twelve  "$photo" 3 both $six
beside png        BenchmarkEngines/native/twelve "$work/photo.png" 1 both $six
beside avif       BenchmarkEngines/native/twelve "$work/photo.avif" 1 both $six
if [[ " ${BENCH_CASES:-all} " == *" all "* || " $BENCH_CASES " == *" pool "* ]]; then
  (cd services/worker/engine/native && VIPS_WARNING=0 IMAGEMILL_BENCH_PROGRAM="$work/imagemill-engine engine" IMAGEMILL_BENCH_PNG=$work/photo.png IMAGEMILL_BENCH_AVIF=$work/photo.avif \
    "$work/native" -test.run '^$' -test.bench "^BenchmarkPool\$/${BENCH_POOL:-.}" -test.benchtime "${BENCH_TURNS:-5}x") | grep '^Benchmark'
fi
