#!/bin/sh
# Builds the image of every service with Docker or buildah, whichever is there, and prints the sizes.
#
#   images.sh [TAG] [SERVICE …]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
tag=${1:-dev}
[ $# -eq 0 ] || shift
if [ $# -eq 0 ]; then
	for directory in "$root"/services/*/; do
		set -- "$@" "$(basename "$directory")"
	done
fi

if docker info >/dev/null 2>&1; then
	build() { DOCKER_BUILDKIT=1 docker build --quiet "$@" >/dev/null; }
	size() { docker image inspect --format '{{.Size}}' "$1"; }
elif command -v buildah >/dev/null; then
	# Only Docker's format has health checks.
	build() { buildah build --quiet --layers --format docker "$@" >/dev/null; }
	size() { buildah images --json "$1" | sed -n 's/.*"size": "\([^"]*\)".*/\1/p' | head -n 1; }
else
	printf '· neither a Docker daemon nor buildah is here: apt-get install buildah\n' >&2
	exit 1
fi

for service in "$@"; do
	image=switchhook/$service:$tag
	printf '· building %s\n' "$image" >&2
	build --file "$root/deploy/Dockerfile" --build-arg "SERVICE=$service" --tag "$image" "$root"
	bytes=$(size "$image")
	case $bytes in
	*[!0-9]*) printf '%-40s %s\n' "$image" "$bytes" ;;
	*) printf '%-40s %s.%s MB\n' "$image" $((bytes / 1000000)) $((bytes / 100000 % 10)) ;;
	esac
done
