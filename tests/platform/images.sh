#!/bin/sh
# The image of each service, from a static program that is built here, so that no base image must be fetched: it is
# started as a cluster would, with a root that is read-only, as nobody and without capabilities, and probed.
#
#   images.sh build               compiles (PROFILE=debug: faster, larger) and builds the images
#   images.sh run                 starts and probes them; DATABASE_URL says where a PostgreSQL is
#   images.sh postgres            this machine's PostgreSQL as an image, under the name that k8s/ and deploy/ have; prints it
#
# SERVICES names fewer of them. Needs root, for the containers.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
state=$target/images
profile=${PROFILE:-release}
: "${SERVICES:=$(cd "$root/services" && echo *)}"
triple=$(uname -m)-unknown-linux-musl
# The first of a range that nothing else here uses.
first_port=18300
seconds_to_start=60
seconds_to_stop=15

say() { printf '· %s\n' "$1" >&2; }
fail() {
	say "$1"
	exit 1
}

install() {
	missing=''
	for package in "$@"; do
		dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null || fail "install these first:$missing"
	say "installing$missing"
	# shellcheck disable=SC2086 # names of packages
	apt-get install -qq --yes --no-install-recommends $missing >/dev/null
}

# Storage and settings of our own: nothing of the machine's images is touched.
containers() {
	mkdir -p "$state"
	cat >"$state/containers.conf" <<-CONF
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "runc"
		[containers]
		default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
	CONF
	cat >"$state/storage.conf" <<-CONF
		[storage]
		driver = "vfs"
		graphroot = "$state/storage"
		runroot = "$state/run"
	CONF
	CONTAINERS_CONF=$state/containers.conf
	CONTAINERS_STORAGE_CONF=$state/storage.conf
	export CONTAINERS_CONF CONTAINERS_STORAGE_CONF
}

compile() {
	rustup target add "$triple" >/dev/null 2>&1 || rustup target list --installed | grep -qx "$triple" || fail "rustup has no $triple"
	export "CC_$(echo "$triple" | tr - _)=musl-gcc" SQLX_OFFLINE=true
	for service in $SERVICES; do
		set -- "$@" --package "$service"
	done
	[ "$profile" = debug ] || set -- --release "$@"
	say "compiling $SERVICES for $triple"
	(cd "$root" && cargo build --quiet --locked --bins --target "$triple" "$@")
}

build() {
	install musl-tools buildah podman runc ca-certificates
	compile
	for service in $SERVICES; do
		context=$state/context-$service
		mkdir -p "$context"
		cp "$target/$triple/$profile/$service" "$context/service"
		cp /etc/ssl/certs/ca-certificates.crt "$context/"
		buildah build --quiet --format docker --target prebuilt --file "$root/deploy/Dockerfile" --build-arg "SERVICE=$service" \
			--tag "localhost/switchhook/$service:test" "$context" >/dev/null
		podman image inspect --format '{{json .HealthCheck.Test}}' "localhost/switchhook/$service:test" |
			grep -qx '\["CMD","/service","healthcheck"\]' || fail "$service: the image has no health check"
		bytes=$(podman image inspect --format '{{.Size}}' "localhost/switchhook/$service:test")
		printf '%-22s %3s.%s MB\n' "$service" $((bytes / 1000000)) $((bytes / 100000 % 10))
	done
}

# What runs, what it is linked with, what it reads; nothing of an image that would have to be fetched.
postgres() {
	tree=$state/postgres
	home=$(printf '%s\n' /usr/lib/postgresql/*/ | sort --version-sort | tail -n 1)
	image=$(sed -n 's/^ *image: \(.*postgres:.*\)/\1/p' "$root/k8s/overlays/dev/postgres/postgres.yaml")
	rm -rf "$tree"
	mkdir -p "$tree/etc" "$tree/tmp" "$tree/var/run/postgresql" "$tree/var/lib/postgresql/data"
	chmod 1777 "$tree/tmp" "$tree/var/run/postgresql"
	set -- "$home"bin/postgres "$home"bin/initdb "$home"bin/pg_ctl "$home"bin/psql "$home"bin/pg_isready /bin/sh /bin/cat /bin/mkdir \
		/bin/chown /bin/rm /usr/bin/tr /usr/bin/id /usr/bin/setpriv
	libraries=$(ldd "$@" | grep -o '/[^ ]*' | grep '\.so' | sort -u)
	# shellcheck disable=SC2086 # paths without spaces
	tar -ch --exclude=bitcode --exclude='llvmjit*' "$@" $libraries "${home}lib" "/usr/share/postgresql/$(basename "$home")" /usr/share/zoneinfo 2>/dev/null | tar -xC "$tree"
	printf 'root:x:0:0:root:/:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n' >"$tree/etc/passwd"
	printf 'root:x:0:\npostgres:x:70:\n' >"$tree/etc/group"
	cp "$root/tests/platform/postgres-entrypoint.sh" "$tree/entrypoint.sh"
	cat >"$state/postgres.Dockerfile" <<-FILE
		FROM scratch
		COPY . /
		ENV PATH=${home}bin:/usr/bin:/bin
		STOPSIGNAL SIGINT
		ENTRYPOINT ["sh", "/entrypoint.sh"]
		CMD ["postgres"]
	FILE
	buildah build --quiet --format docker --file "$state/postgres.Dockerfile" --tag "$image" "$tree" >/dev/null
	echo "$image"
}

# A container as the manifests would have it: NAME COMMAND …, with `flags` for more.
run_in_container() {
	service=$1
	shift
	# shellcheck disable=SC2086 # more flags
	podman run $flags --no-healthcheck --read-only --read-only-tmpfs=false --cap-drop=ALL --security-opt=no-new-privileges --network=host \
		--pids-limit=256 --memory=256m --env-file "$root/.env.example" --env "DATABASE_URL=$DATABASE_URL" \
		--env "BIND_ADDR=127.0.0.1:$port" --env "WS_BIND_ADDR=127.0.0.1:$((port + 1))" --env LOG_FORMAT=json \
		"localhost/switchhook/$service:test" "$@"
}

# Until an address answers 200: URL.
answers() {
	left=$seconds_to_start
	until [ "$(curl -s -o /dev/null -m 3 -w '%{http_code}' "$1")" = 200 ]; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 1
	done
}

# What the kernel says about the process: nobody, no capabilities, no new privileges, seccomp, a root that cannot be written.
is_confined() {
	status=/proc/$1/status
	for line in 'Uid:\s65532\s65532\s65532\s65532' 'CapEff:\s0*' 'CapBnd:\s0*' 'NoNewPrivs:\s1' 'Seccomp:\s2'; do
		grep -Eqx "$line" "$status" || fail "$service runs without $line: $(grep "^${line%%:*}" "$status")"
	done
	awk '$5 == "/" { print $6 }' "/proc/$1/mountinfo" | grep -q '^ro' || fail "$service may write to its root"
}

probe() {
	service=$1
	flags="--rm"
	run_in_container "$service" migrate >"$state/$service.migrate" 2>&1 || { cat "$state/$service.migrate" >&2 && fail "$service: migrate failed"; }
	flags="--detach --name=switchhook-test-$service"
	container=$(run_in_container "$service")
	here=http://127.0.0.1:$port
	answers "$here/readyz" || { podman logs "$container" >&2 && fail "$service is not ready"; }
	for path in /healthz /openapi.json /; do
		answers "$here$path" || fail "$service does not serve $path"
	done
	podman exec "$container" /service healthcheck || fail "$service: its own health check fails"
	is_confined "$(podman inspect --format '{{.State.Pid}}' "$container")"
	podman stop --time "$seconds_to_stop" "$container" >/dev/null
	code=$(podman inspect --format '{{.State.ExitCode}}' "$container")
	[ "$code" = 0 ] || fail "$service ended with $code at SIGTERM"
	podman rm "$container" >/dev/null
	say "$service: migrated, ready, confined, ended at once"
}

run() {
	: "${DATABASE_URL:?is not set}"
	trap 'podman rm --force --all >/dev/null 2>&1 || true' EXIT
	port=$first_port
	for service in $SERVICES; do
		probe "$service"
		port=$((port + 2))
	done
}

containers
case ${1:-} in
build | run | postgres) "$1" ;;
*) fail 'usage: images.sh build|run|postgres' ;;
esac
