#!/usr/bin/env bash
# Builds stand-ins for the public images that deploy/Dockerfile and
# deploy/compose.yaml name, under those very names, where no image registry can
# be reached: from Debian packages (the machine's own mirror), the machine's Go
# and Go modules alone. An image that is there, or that can be pulled, is left
# as it is.
#
# It needs Linux, Docker and Go, and root for debootstrap.
set -euo pipefail
cd "$(dirname "$0")/../.."

base_image=${BASE_IMAGE:-debian:trixie-slim}
go_image=${GO_IMAGE:-golang:1.26-trixie}
nats_image=${NATS_IMAGE:-$(sed -n 's/.*NATS_IMAGE:-\([^}]*\)}.*/\1/p' deploy/compose.yaml | head -n 1)}
suite=trixie

say() { printf 'airgap: %s\n' "$*"; }
fail() { printf 'airgap: %s\n' "$*" >&2; exit 1; }
# again has something succeed that a network may break off for a moment: in three goes.
again() { "$@" || { sleep 10; "$@"; } || { sleep 30; "$@"; }; }
# build says nothing unless it fails.
build() { again docker build -q -t "$1" "$2" >"$2/log" 2>&1 || { cat "$2/log" >&2; fail "$1 cannot be built"; }; }
present() { docker image inspect "$1" >/dev/null 2>&1; }

# mirror is where this machine's own Debian packages come from. Files of other
# vendors beside them name suites of their own and are passed over.
mirror() {
	local from
	from=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 2>/dev/null |
		sed -n 's/^Debian \(.*\)$/\1/p' | grep -v security | head -n 1)
	if [ -z "$from" ]; then
		from=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
			sed -nE -e 's/^URIs: *([^ ]*debian\/?)( .*)?$/\1/p' -e 's/^deb +(\[[^]]*\] +)?([^ ]*debian\/?) .*/\2/p' | head -n 1)
	fi
	[ -n "$from" ] || fail "no Debian mirror is named below /etc/apt; pull $base_image, or load it with docker load"
	printf '%s\n' "${from%/}"
}

# build_base makes the smallest Debian, without what a slim image leaves out.
build_base() {
	local dir=$1/base from proxy=
	[ "$(id -u)" = 0 ] || fail "debootstrap needs root, for $base_image; run this once as root"
	command -v debootstrap >/dev/null || {
		say "installing debootstrap"
		{ apt-get install -yq --no-install-recommends debootstrap ||
			again sh -c 'apt-get update -q && apt-get install -yq --no-install-recommends debootstrap'; } >"$1/log" 2>&1 ||
			{ cat "$1/log" >&2; fail "debootstrap cannot be installed"; }
	}
	from=$(mirror)
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	say "$base_image: Debian $suite from this machine's mirror"
	http_proxy=${proxy:-${http_proxy:-}} again debootstrap --variant=minbase "$suite" "$dir" "$from" >"$1/log" 2>&1 ||
		{ tail -n 20 "$1/log" >&2; fail "debootstrap did not succeed"; }
	[ -z "$proxy" ] || printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$dir/etc/apt/apt.conf.d/90proxy"
	rm -rf "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/* "$dir"/var/log/* \
		"$dir"/usr/share/{doc,man,info,locale,lintian}/* "$dir"/dev/*
	tar -C "$dir" -c . | docker import --change 'CMD ["bash"]' - "$base_image" >/dev/null
}

# build_go adds this machine's Go, a C compiler, and the certificates that its
# module proxy may need. go.env holds defaults only: a build argument wins.
build_go() {
	local dir=$1/go root version name
	root=$(go env GOROOT)
	version=$(cd / && go env GOVERSION)
	case $version in go1.2[6-9]* | go1.[3-9][0-9]*) ;; *) fail "$go_image needs Go 1.26 or later here, not $version" ;; esac
	say "$go_image: $version of this machine, gcc from Debian"
	mkdir -p "$dir/go"
	tar -C "$root" --exclude=./test --exclude=./doc --exclude=./api -c . | tar -C "$dir/go" -x
	chmod -R u+w "$dir/go"
	for name in GOPROXY GOSUMDB GONOSUMDB GONOSUMCHECK GOPRIVATE GONOPROXY GOINSECURE; do
		[ -z "$(go env "$name" 2>/dev/null)" ] || printf '%s=%s\n' "$name" "$(go env "$name")" >>"$dir/go/go.env"
	done
	cat "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" >"$dir/ca.crt"
	cat >"$dir/Dockerfile" <<-END
		FROM $base_image
		RUN apt-get update -q && apt-get install -yq --no-install-recommends gcc libc6-dev pkg-config git ca-certificates \\
			&& rm -rf /var/lib/apt/lists/*
		COPY ca.crt /etc/ssl/certs/ca-certificates.crt
		COPY go /usr/local/go
		ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOPATH=/go GOTOOLCHAIN=local
		WORKDIR /go
	END
	build "$go_image" "$dir"
}

# build_nats compiles the server of the very version that go.mod pins.
build_nats() {
	local dir=$1/nats version
	version=$(go list -m -f '{{.Version}}' github.com/nats-io/nats-server/v2)
	say "$nats_image: nats-server $version, from its Go module"
	mkdir -p "$dir"
	CGO_ENABLED=0 GOBIN=$dir GOFLAGS=-trimpath again go install -ldflags='-s -w' "github.com/nats-io/nats-server/v2@$version"
	printf 'FROM scratch\nCOPY nats-server /nats-server\nENTRYPOINT ["/nats-server"]\n' >"$dir/Dockerfile"
	build "$nats_image" "$dir"
}

command -v docker >/dev/null || fail "docker is not here"
docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer: is it running, and may this user speak to it?"
[ -n "$nats_image" ] || fail "deploy/compose.yaml names no NATS image"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for part in base go nats; do
	name=${part}_image
	if present "${!name}"; then
		say "${!name} is here"
		continue
	fi
	if docker pull -q "${!name}" >/dev/null 2>&1; then
		say "${!name} is pulled"
		continue
	fi
	[ "$part" = base ] || command -v go >/dev/null || fail "Go 1.26 or later is needed, for ${!name}"
	"build_$part" "$work"
done
