#!/usr/bin/env bash
# Builds the image, imagemill:latest unless IMAGEMILL_IMAGE says otherwise, and
# hands on where this machine's Go takes its modules from, and its proxies.
set -euo pipefail
cd "$(dirname "$0")/.."
args=(--build-arg "VERSION=$(sed -n 's/^const Number = "\(.*\)"/\1/p' internal/release/release.go)"
	--build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)")
for name in GO_IMAGE BASE_IMAGE CGO_ENABLED TAGS HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
	[ -z "${!name:-}" ] || args+=(--build-arg "$name=${!name}")
done
# These may be empty on purpose: the image without the native engine.
for name in BUILD_PACKAGES PACKAGES; do
	[ -z "${!name+set}" ] || args+=(--build-arg "$name=${!name}")
done
if command -v go >/dev/null; then
	for name in GOPROXY GOSUMDB GONOSUMDB GOPRIVATE; do
		value=$(go env "$name")
		[ -z "$value" ] || args+=(--build-arg "$name=$value")
	done
fi
# A network may break a download off for a moment; what was built before stays.
build() { docker build -f deploy/Dockerfile -t "${IMAGEMILL_IMAGE:-imagemill:latest}" "${args[@]}" .; }
build || { sleep 10; build; } || { sleep 30; build; }
