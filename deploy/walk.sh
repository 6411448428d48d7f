#!/usr/bin/env bash
# Takes one picture through the running stack: POST, isReady, get. It says what
# it does, and ends within about three minutes, with 1 if anything went wrong.
#
#   deploy/walk.sh [picture [http://host:port]]
#
# COMPOSE is the compose command with its options, IMAGEMILL_API_KEY a user's key.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fail() { printf 'walk: %s\n' "$*" >&2; exit 1; }

if [ -z "${COMPOSE:-}" ]; then
	COMPOSE="docker-compose -f $here/compose.yaml"
	if docker compose version >/dev/null 2>&1; then COMPOSE="docker compose -f $here/compose.yaml"; fi
fi
photo=${1:-}
if [ -z "$photo" ]; then
	photo=$(cd "$here" && go list -m -f '{{.Dir}}' github.com/disintegration/imaging 2>/dev/null)/testdata/branches.jpg ||
		fail "name a picture: deploy/walk.sh photo.jpg"
fi
[ -r "$photo" ] || fail "cannot read $photo"
url=${2:-}
if [ -z "$url" ]; then
	at=$($COMPOSE port frontend 8080) && [ -n "$at" ] || fail "the frontend publishes no port; is the stack up?"
	url=http://${at/0.0.0.0/127.0.0.1}
fi
key=${IMAGEMILL_API_KEY:-$(sed -n 's/^IMAGEMILL_FRONTEND_API_KEYS=\([^,]*\).*/\1/p' "$here/.env" 2>/dev/null || true)}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
: >"$out/header"
[ -z "$key" ] || printf 'X-API-Key: %s\n' "$key" >"$out/header"
ask() { curl -sS -H @"$out/header" --max-time 75 "$@"; }

# Services start in any order: until all are there, an upload answers 503.
printf 'walk: POST %s/newImage  %s\n' "$url" "$photo"
status=
for ((end = SECONDS + 90; SECONDS < end; )); do
	status=$(ask -o "$out/answer" -w '%{http_code}' --data-binary @"$photo" "$url/newImage" 2>"$out/error") || true
	case $status in
	202) break ;;
	000 | 429 | 502 | 503) sleep 0.2 ;;
	*) break ;;
	esac
done
[ "$status" = 202 ] || fail "no 202 but ${status:-nothing}: $(cat "$out/answer" "$out/error" 2>/dev/null)"
id=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' "$out/answer")
printf 'walk: accepted, %s s after the start: %s\n' "$SECONDS" "$id"

ask -o "$out/answer" "$url/image/isReady?id=$id&wait=60s"
state=$(sed -n 's/.*"state":"\([^"]*\)".*/\1/p' "$out/answer")
printf 'walk: GET  %s/image/isReady?id=%s&wait=60s  %s\n' "$url" "$id" "$state"
[ "$state" = finished ] || fail "not finished: $(cat "$out/answer")"

got=$(ask -o "$out/result" -w '%{http_code} %{content_type} %{size_download}' "$url/image/get?id=$id")
printf 'walk: GET  %s/image/get?id=%s  %s bytes\n' "$url" "$id" "$got"
case $got in "200 image/"*) ;; *) fail "no picture" ;; esac
printf 'walk: all is well\n'
