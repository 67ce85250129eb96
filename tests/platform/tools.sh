#!/bin/sh
# Brings the programs that judge deploy/ and k8s/ into DIRECTORY/bin: kubectl, Docker Compose and promtool where the machine has
# none, kubernetes-validate and hadolint. Versions are pinned by their checksums; nothing outside the directory is touched.
#
#   tools.sh DIRECTORY     PYTHON names a Python 3 with venv
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/bin"
tools=$(cd "$1" && pwd)
PATH=$tools/bin:$PATH
mirror=http://deb.debian.org/debian/pool/main

say() { printf '· %s\n' "$1" >&2; }

# Where kubectl renders components, which it does since 1.21.
renders() { kubectl kustomize --help 2>/dev/null | grep -q -- --enable-helm; }
composes() { docker compose version >/dev/null 2>&1 || docker-compose version --short 2>/dev/null | grep -q '^v*[2-9]'; }

# A program out of a package of Debian: PACKAGE-PATH CHECKSUM PATH-INSIDE.
unpack() {
	work=$(mktemp -d)
	if ! { curl -fsSL --retry 2 -o "$work/deb" "$mirror/$1" || curl -fsSL -o "$work/deb" "https://snapshot.debian.org/archive/debian/20250901T000000Z/pool/main/$1"; }; then
		rm -rf "$work"
		return 1
	fi
	echo "$2  $work/deb" | sha256sum --check --quiet
	if command -v dpkg-deb >/dev/null; then
		dpkg-deb -x "$work/deb" "$work/tree"
	else
		mkdir "$work/tree"
		(cd "$work" && ar x deb && tar -xf data.tar.* -C tree)
	fi
	cp "$work/tree/$3" "$tools/bin/"
	rm -rf "$work"
}

missing() {
	say "$1 is missing and cannot be installed from here: $2"
	exit 1
}

kubectl_for() {
	case $1 in
	Linux-x86_64) unpack "k/kubernetes/kubectl_1.32.3+ds-2_amd64.deb" \
		9825aaf4c14913027aae04af8688e580459f781c829bd5de00cc4dc2cc5a867f usr/bin/kubectl ;;
	Linux-aarch64) unpack "k/kubernetes/kubectl_1.32.3+ds-2_arm64.deb" \
		b85800b5e2d2ecc958e2b9dfa7d4ce13b14e1175242de1f71acb4fa4b0b63212 usr/bin/kubectl ;;
	*) false ;;
	esac
}

compose_for() {
	case $1 in
	Linux-x86_64) unpack "d/docker-compose/docker-compose_2.26.1-4_amd64.deb" \
		47681197cb2b1ab88206b42a1a92fc75f50d9530a6322d03494a473eed0408ea usr/libexec/docker/cli-plugins/docker-compose ;;
	Linux-aarch64) unpack "d/docker-compose/docker-compose_2.26.1-4_arm64.deb" \
		bbafaa666f3e7fa00ad36f2a8bab889f1c791ca8743d674e7267a3d07203869c usr/libexec/docker/cli-plugins/docker-compose ;;
	*) false ;;
	esac
}

promtool_for() {
	case $1 in
	Linux-x86_64) unpack "p/prometheus/prometheus_2.42.0+ds-5+deb12u1_amd64.deb" \
		81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55 usr/bin/promtool ;;
	Linux-aarch64) unpack "p/prometheus/prometheus_2.42.0+ds-5+deb12u1_arm64.deb" \
		ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9 usr/bin/promtool ;;
	*) false ;;
	esac
}

# An environment of Python's own, made anew when what is pinned changes.
validators() {
	pinned=$(sha256sum "$here/requirements.txt" | cut -c 1-16)
	environment=$tools/platform-$pinned
	[ ! -e "$environment/complete" ] || return 0
	say 'installing kubernetes-validate and hadolint (once, seconds)'
	rm -rf "$environment"
	"${PYTHON:-python3}" -m venv "$environment" || missing 'Python 3 with venv' 'apt-get install python3-venv'
	"$environment/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$here/requirements.txt"
	for program in kubernetes-validate hadolint; do
		ln -sf "$environment/bin/$program" "$tools/bin/$program"
	done
	touch "$environment/complete"
}

if ! renders; then
	say 'installing kubectl (once)'
	kubectl_for "$(uname -s)-$(uname -m)" || missing kubectl https://kubernetes.io/docs/tasks/tools/
fi
if ! composes; then
	say 'installing Docker Compose (once)'
	compose_for "$(uname -s)-$(uname -m)" || missing 'Docker Compose' https://docs.docker.com/compose/install/
fi
if ! command -v promtool >/dev/null; then
	say 'installing promtool (once)'
	promtool_for "$(uname -s)-$(uname -m)" || missing promtool https://prometheus.io/download/
fi
validators
