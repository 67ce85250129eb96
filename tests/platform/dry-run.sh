#!/bin/sh
# Puts the overlays to a real Kubernetes API server, which rejects what no schema knows: `kubectl apply --dry-run=server`.
# The server is of 1.20 (see kubernetes.sh), so three API versions are written as they were called then. That it judges is
# shown with defects that it must reject.
#
#   dry-run.sh DIRECTORY     where kubernetes.sh has put the programs
set -eu

here=$(cd "$(dirname "$0")" && pwd)
k8s=$here/../../k8s
bin=$1/bin
state=$(mktemp -d)
etcd=''
server=''
stop() {
	for process in $server $etcd; do
		kill "$process" 2>/dev/null || true
		wait "$process" 2>/dev/null || true
	done
	rm -rf "$state"
}
trap stop EXIT
trap 'exit 1' INT TERM

say() { printf '· %s\n' "$1" >&2; }
k() { kubectl --kubeconfig "$state/kubeconfig" "$@"; }

# Three ports that nobody has.
ports=$(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in held))')
# shellcheck disable=SC2086 # three words
set -- $ports
clients=http://127.0.0.1:$1 peers=http://127.0.0.1:$2 port=$3

(umask 077 && openssl genrsa -out "$state/accounts.key" 2048 2>/dev/null)
token=$(head -c 16 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
(umask 077 && echo "$token,admin,admin,system:masters" >"$state/tokens.csv")
cat >"$state/kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: dry, cluster: {server: "https://127.0.0.1:$port", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: "$token"}}]
contexts: [{name: dry, context: {cluster: dry, user: admin}}]
current-context: dry
CONFIG

"$bin/etcd" --data-dir "$state/etcd" --listen-client-urls "$clients" --advertise-client-urls "$clients" \
	--listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers" \
	--unsafe-no-fsync >"$state/etcd.log" 2>&1 &
etcd=$!
"$bin/kube-apiserver" --etcd-servers "$clients" --bind-address 127.0.0.1 --secure-port "$port" --cert-dir "$state/certificates" \
	--service-cluster-ip-range 10.96.0.0/16 --service-account-issuer https://kubernetes.default.svc \
	--service-account-signing-key-file "$state/accounts.key" --service-account-key-file "$state/accounts.key" \
	--authorization-mode RBAC --token-auth-file "$state/tokens.csv" --endpoint-reconciler-type none \
	--disable-admission-plugins ServiceAccount >"$state/server.log" 2>&1 &
server=$!

tries=240
until k get --raw /readyz >/dev/null 2>&1; do
	tries=$((tries - 1))
	if [ "$tries" = 0 ] || ! kill -0 "$server" 2>/dev/null; then
		tail -n 20 "$state/server.log" "$state/etcd.log" >&2
		exit 1
	fi
	sleep 0.25
done

# What 1.20 does not have yet under its present name; nothing else of the objects differs.
as_in_1_20() {
	sed -e 's,^apiVersion: policy/v1$,apiVersion: policy/v1beta1,' \
		-e 's,^apiVersion: autoscaling/v2$,apiVersion: autoscaling/v2beta2,'
}
apply() { k apply --server-side --dry-run=server --filename - 2>&1; }

for overlay in dev production; do
	kubectl kustomize "$k8s/overlays/$overlay" | as_in_1_20 >"$state/$overlay.yaml"
	# A dry run makes no namespace for what follows.
	k create namespace "$(sed -n 's/^  namespace: //p' "$state/$overlay.yaml" | head -n 1)" >/dev/null
	if ! apply <"$state/$overlay.yaml" >"$state/answer"; then
		cat "$state/answer" >&2
		exit 1
	fi
	objects=$(grep -c ' serverside-applied (server dry run)$' "$state/answer")
	[ "$objects" = "$(grep -c '^kind: ' "$state/$overlay.yaml")" ] || { cat "$state/answer" >&2 && exit 1; }
	say "the API server takes all $objects objects of $overlay"
done

# A defect: what it is called, what sed does to the dev overlay, what the server must say.
rejects() {
	sed -e "$2" "$state/dev.yaml" >"$state/defect.yaml"
	if cmp -s "$state/dev.yaml" "$state/defect.yaml"; then
		say "$1: this defect changes nothing any more"
		exit 1
	fi
	if apply <"$state/defect.yaml" >"$state/answer" || ! grep -q -- "$3" "$state/answer"; then
		say "$1: the API server does not say: $3"
		cat "$state/answer" >&2
		exit 1
	fi
	say "rejected: $1"
}
rejects 'a selector that does not match' '/^  selector:/,/^  strategy:/s/name: session-svc$/name: session/' 'does not match template'
rejects 'pods that are not started again' 's/^      enableServiceLinks: false$/      restartPolicy: Never/' 'Unsupported value: "Never"'
rejects 'a request above its limit' 's/^            memory: 128Mi$/            memory: 4Gi/' 'must be less than or equal to memory limit'
rejects 'a field that there is not' 's/terminationGracePeriodSeconds: 40/terminationGracePeriodSecond: 40/' 'terminationGracePeriodSecond'
rejects 'a port that there cannot be' 's/containerPort: 3000/containerPort: 70000/' 'between 1 and 65535'
