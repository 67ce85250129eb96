#!/bin/bash
# deploy/compose.yaml, started for real by dockerd and Compose, where no registry can be reached: the services' images are those
# of `images.sh build`; in the place of PostgreSQL's and n8n's stand images of their names, made of this machine's own
# programs. Needs root; dockerd is that of Debian's package, unpacked and not installed, with all its files in the directory.
#
#   compose.sh DIRECTORY N8N     N8N: where tests/n8n/install.sh has put n8n
#
# A user's task must go through session, n8n's workflow with its credentials, and back. Then everything is stopped and started
# again, with its data, and taken away.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
services=(session-svc chat-ws-svc retell-ingest-svc dispatch-bridge-svc task-chat-svc)
network=172.31.250.0/24
minutes_to_start=6

say() { printf '· %s\n' "$*" >&2; }
fail() {
	say "$*"
	exit 1
}
docker() { command docker --host "unix://$state/docker.sock" "$@"; }
compose() {
	local program=(docker-compose)
	command -v docker-compose >/dev/null || program=(command docker compose)
	DOCKER_HOST=unix://$state/docker.sock "${program[@]}" --file "$tree/deploy/compose.yaml" --file "$state/here.yaml" "$@"
}

daemon() {
	if [ ! -x "$state/docker/usr/sbin/dockerd" ]; then
		say "unpacking Debian's docker.io"
		(cd "$state" && apt-get download -qq docker.io && dpkg-deb -x docker.io_*.deb docker && rm docker.io_*.deb)
	fi
	PATH=$state/docker/usr/bin:$state/docker/usr/sbin:$PATH
	# Rules of iptables are not needed: nothing leaves this machine, and published ports have a proxy.
	dockerd --host "unix://$state/docker.sock" --data-root "$state/data" --exec-root "$state/run" --pidfile "$state/docker.pid" \
		--iptables=false --ip6tables=false --bridge=none --default-address-pool "base=$network,size=26" --oom-score-adjust=0 \
		--default-ulimit nofile=4096:4096 --exec-opt native.cgroupdriver=cgroupfs >"$state/dockerd.log" 2>&1 </dev/null &
	daemon=$!
	local left=60
	until docker version >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || { tail -n 20 "$state/dockerd.log" >&2 && fail 'dockerd does not start'; }
		sleep 1
	done
}

# The services' images, out of the storage of images.sh.
images() {
	local storage=${CARGO_TARGET_DIR:-$root/target}/images service
	export CONTAINERS_CONF=$storage/containers.conf CONTAINERS_STORAGE_CONF=$storage/storage.conf
	for service in "${services[@]}"; do
		podman save --quiet --format docker-archive "localhost/switchhook/$service:test" | docker load --quiet >/dev/null
		docker tag "localhost/switchhook/$service:test" "switchhook/$service:dev"
	done
	podman save --quiet --format docker-archive "$(sh "$here/images.sh" postgres)" | docker load --quiet >/dev/null
}

# An n8n that runs on this machine's /usr, which is mounted into it (here.yaml): all of it has 3 GB.
n8n_image() {
	local tree=$state/n8n folder image node
	image=$(sed -n 's/^ *image: &n8n //p' "$root/deploy/compose.yaml")
	mkdir -p "$tree"/{usr,tmp,opt/n8n,etc/ssl,home/node/.n8n}
	for folder in bin sbin lib lib64; do
		ln -sfn "usr/$folder" "$tree/$folder"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n' >"$tree/etc/passwd"
	printf 'root:x:0:\nnode:x:1000:\n' >"$tree/etc/group"
	cp -r /etc/ssl/certs "$tree/etc/ssl/"
	cp /etc/nsswitch.conf "$tree/etc/"
	chown -R 1000:1000 "$tree/home/node"
	chmod 1777 "$tree/tmp"
	tar -C "$tree" --numeric-owner -c . | docker import --change 'ENV PATH=/opt/n8n/node_modules/.bin:/opt/node:/usr/bin' --change 'USER node' \
		--change 'ENV HOME=/home/node' --change 'ENTRYPOINT ["n8n"]' - "$image" >/dev/null
	node=$(cd "$n8n" && printf '%s\n' node_modules/node-linux-*/bin)
	cat >"$state/here.yaml" <<-YAML
		services:
		  n8n: &n8n
		    volumes: ["/usr:/usr:ro", "$n8n/node_modules:/opt/n8n/node_modules:ro", "$n8n/$node:/opt/node:ro"]
		    environment: {N8N_VERSION_NOTIFICATIONS_ENABLED: "false", N8N_TEMPLATES_ENABLED: "false"}
		  n8n-templates: *n8n
	YAML
}

# What is in the folder of a checkout, with the environment that `make env` writes.
checkout() {
	tree=$state/tree
	rm -rf "$tree"
	mkdir -p "$tree/k8s/overlays/dev"
	cp -R "$root/deploy" "$root/Makefile" "$root/.env.example" "$tree/"
	cp -R "$root/k8s/overlays/dev/postgres" "$tree/k8s/overlays/dev/"
	rm -f "$tree/deploy/.env"
	make --no-print-directory -C "$tree" env
}

# All that has a health check is healthy, and n8n answers.
healthy() {
	local left=$((minutes_to_start * 60))
	until [ "$(compose ps --all --format '{{.Service}} {{.Health}}' | grep -c ' healthy')" = 6 ] &&
		curl -sf -o /dev/null -m 3 http://127.0.0.1:5678/healthz/readiness; do
		left=$((left - 2))
		[ "$left" -gt 0 ] || { compose ps --all >&2 && compose logs --tail 20 >&2 && fail 'not everything is healthy'; }
		sleep 2
	done
}

drive() {
	local name port
	for name in session-svc:3000 chat-ws-svc:3001 retell-ingest-svc:5000 dispatch-bridge-svc:8000 task-chat-svc:3002; do
		port=${name#*:}
		[ "$(curl -s -o /dev/null -m 5 -w '%{http_code}' "http://127.0.0.1:$port/readyz")" = 200 ] || fail "$name is not ready"
	done
	JWT_SECRET=$(sed -n 's/^JWT_SECRET=//p' "$tree/deploy/.env") python3 -B "$here/task.py" http://127.0.0.1:3002
}

stop() {
	compose down --volumes --timeout 40 >/dev/null 2>&1 || true
	[ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
	awk -v state="$state/" 'index($2, state) == 1 { print $2 }' /proc/mounts | sort -r | xargs --no-run-if-empty umount --lazy
}

[ $# = 2 ] || { sed -n 's/^#   //p' "$0" >&2 && exit 2; }
mkdir -p "$1"
state=$(cd "$1" && pwd)
n8n=$(cd "$2" && pwd)
checkout
daemon=''
trap stop EXIT
daemon
images
n8n_image
# What an earlier run has left.
compose down --volumes >/dev/null 2>&1
begun=$SECONDS
compose up --detach --quiet-pull
healthy
say "everything runs after $((SECONDS - begun)) s"
drive
compose ps --all --format 'table {{.Service}}\t{{.Status}}'
say 'again, with the data of before'
compose stop --timeout 40
for service in "${services[@]}"; do
	code=$(compose ps --all --format '{{.ExitCode}}' "$service")
	[ "$code" = 0 ] || fail "$service ended with $code"
done
compose up --detach
healthy
drive
say 'Compose starts, works, stops and starts again'
