#!/usr/bin/env bash
# Writes deploy/.env with a key, made for this machine, that users must send. It
# never overwrites one. The stack needs no .env on loopback. Its inner secrets it
# makes itself, at its first start, and keeps; so a stack that runs goes on with
# them, and the next "up -d" changes the frontend alone.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
secret() { od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; }
new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
cat >"$new" <<END
# Settings of deploy/compose.yaml; docs/operations.md names them all.
# What users send as X-API-Key; comma-separated.
IMAGEMILL_FRONTEND_API_KEYS=$(secret)
# 127.0.0.1 is for this machine only, which is right behind a reverse proxy.
IMAGEMILL_BIND=127.0.0.1
# A port, or a range for several frontends: 8080-8089.
IMAGEMILL_PORT=8080
END
# A link, unlike a move, fails where the name is taken.
ln "$new" .env 2>/dev/null || { echo "deploy/.env is there; it is left as it is" >&2; exit 1; }
echo "deploy/.env is written"
