#!/bin/sh
# Builds Kubernetes 1.20 from Debian's source package: the newest that is there in full with all that it needs, so that no
# registry of modules or images is asked. Nothing is installed: packages are unpacked below the directory that is named.
#
#   kubernetes.sh DIRECTORY [node]     -> DIRECTORY/bin: etcd, kube-apiserver; with `node` all of a one-node cluster
set -eu

directory=$1
parts=${2:-api}
release=bookworm
version=1.20.2
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
server_programs='kube-apiserver'
node_programs='kube-controller-manager kube-scheduler kubelet kube-proxy'

say() { printf '· %s\n' "$1" >&2; }

mkdir -p "$directory/bin" "$directory/apt/lists/partial" "$directory/apt/cache/archives/partial" "$directory/packages"
directory=$(cd "$directory" && pwd)
bin=$directory/bin
tree=$directory/go/src/k8s.io/kubernetes
if [ "$(uname -m)" != x86_64 ] || [ ! -r "$keyring" ]; then
	say "a Kubernetes API server is built from Debian's packages for x86_64: run this on such a machine, or in a container"
	exit 1
fi

mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
cat >"$directory/apt/sources.list" <<-LIST
	deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $release main
	deb-src [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $release main
LIST
# An apt of its own, beside the system's: neither its lists nor its packages are touched.
cat >"$directory/apt/conf" <<-CONF
	Dir::Etc::sourcelist "$directory/apt/sources.list";
	Dir::Etc::sourceparts "-";
	Dir::State "$directory/apt";
	Dir::State::lists "$directory/apt/lists";
	Dir::Cache "$directory/apt/cache";
	APT::Sandbox::User "root";
CONF
apt() { APT_CONFIG=$directory/apt/conf apt-get -qq "$@"; }

# Unpacks packages, in the versions that are signed.
packages() {
	(cd "$directory/apt" && apt download "$@" && for deb in *.deb; do dpkg-deb -x "$deb" "$directory/packages"; done && rm -f -- *.deb)
}

source_tree() {
	[ ! -e "$tree/go.mod" ] || return 0
	say "fetching Go and the sources of Kubernetes $version (about 100 MB)"
	apt update
	packages golang-1.19-go golang-1.19-src etcd-server
	cp "$directory/packages/usr/bin/etcd" "$bin/"
	(cd "$directory/apt" && apt source --download-only kubernetes)
	mkdir -p "$tree"
	tar -xzf "$directory"/apt/kubernetes_*.orig.tar.gz --strip-components=1 -C "$tree"
	rm -f "$directory"/apt/kubernetes_*
}

go_environment() {
	GOROOT=$directory/packages/usr/lib/go-1.19
	PATH=$GOROOT/bin:$PATH
	GOPATH=$directory/go
	GOCACHE=$directory/cache
	GO111MODULE=off
	GOPROXY=off
	GOFLAGS=
	CGO_ENABLED=0
	export GOROOT PATH GOPATH GOCACHE GO111MODULE GOPROXY GOFLAGS CGO_ENABLED
}

# The one generated file that Debian's tree lacks: the OpenAPI definitions of all types.
definitions() {
	[ ! -s pkg/generated/openapi/zz_generated.openapi.go ] || return 0
	go build -o "$bin/openapi-gen" k8s.io/kubernetes/vendor/k8s.io/kube-openapi/cmd/openapi-gen
	described=$(grep -rl --include='*.go' '+k8s:openapi-gen=' pkg cmd plugin vendor/k8s.io/*/ |
		grep -v -e zz_generated -e vendor/k8s.io/code-generator/ -e vendor/k8s.io/sample-apiserver/ |
		xargs -n 1 dirname | sort -u | sed 's,^,k8s.io/kubernetes/,' | paste -sd , -)
	# It also reports types that break its naming rules, and then fails: what it wrote is complete.
	"$bin/openapi-gen" --logtostderr -i "$described" -p k8s.io/kubernetes/pkg/generated/openapi \
		-O zz_generated.openapi -h hack/boilerplate/boilerplate.generatego.txt -r "$directory/openapi.report" \
		>"$directory/openapi.log" 2>&1 || true
	[ -s pkg/generated/openapi/zz_generated.openapi.go ] || { tail -n 20 "$directory/openapi.log" >&2; exit 1; }
}

programs() {
	flags='-s -w'
	for package in vendor/k8s.io/component-base/version vendor/k8s.io/client-go/pkg/version; do
		package=k8s.io/kubernetes/$package
		flags="$flags -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=20"
	done
	for program in "$@"; do
		[ ! -x "$bin/$program" ] || continue
		say "building $program (minutes, once)"
		go build -ldflags "$flags" -o "$bin/$program.new" "k8s.io/kubernetes/cmd/$program"
		mv "$bin/$program.new" "$bin/$program"
	done
}

source_tree
go_environment
cd "$tree"
definitions
# shellcheck disable=SC2086 # names of programs
programs $server_programs
if [ "$parts" = node ]; then
	# shellcheck disable=SC2086
	programs $node_programs
	[ -x "$bin/pause" ] || gcc -Os -static -DVERSION=3.2 -o "$bin/pause" build/pause/linux/pause.c
fi
# 1.5 GB that only another build would need.
rm -rf "$GOCACHE"
