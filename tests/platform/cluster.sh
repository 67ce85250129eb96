#!/bin/bash
# A one-node Kubernetes on this machine, of the programs of `kubernetes.sh DIRECTORY node` and Debian's containerd, with the dev
# overlay in it: to see pods roll, be evicted and crash. Needs root and is for a machine that may be thrown away: it makes
# a bridge, rules of iptables, and kubelet sets some sysctls.
#
#   cluster.sh up DIRECTORY STATE         the node is ready (half a minute)
#   cluster.sh load STATE                 takes the images that `images.sh build` has made
#   cluster.sh deploy STATE               PostgreSQL of this machine (DATABASE_PORT), stand-ins (STANDIN_N8N_PORT), the services
#   cluster.sh drill STATE [SERVICE …]    rolls them under load, tries a bad version, evicts, lets a pod crash; prints the figures
#   cluster.sh down DIRECTORY STATE
#
# There is no Ingress controller, nothing enforces NetworkPolicies, and nothing measures for the autoscalers.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
namespace=switchhook-dev
gateway=10.244.0.1
bridge=switchhook0
api=26443
read -ra services <<<"${SERVICES:-session-svc chat-ws-svc retell-ingest-svc dispatch-bridge-svc task-chat-svc}"

say() { printf '· %s\n' "$*" >&2; }
k() { kubectl --kubeconfig "$state/kubeconfig" "$@"; }
ctr() { command ctr --address "$state/containerd.sock" --namespace k8s.io "$@"; }

# Waits for a condition: SECONDS COMMAND …
until_true() {
	local left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || { say "in vain: $*"; return 1; }
		sleep 1
	done
}

start() {
	local name=$1
	shift
	"$@" >"$state/log/$name" 2>&1 </dev/null &
	echo $! >"$state/pid/$name"
}

files() {
	mkdir -p "$state"/{log,pid,cni,certificates,kubelet,etcd}
	(umask 077 && openssl genrsa -out "$state/accounts.key" 2048 2>/dev/null && touch "$state/tokens.csv" "$state/kubeconfig")
	chmod 600 "$state/tokens.csv" "$state/kubeconfig"
	local token
	token=$(head -c 16 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
	echo "$token,admin,admin,system:masters" >"$state/tokens.csv"
	cat >"$state/kubeconfig" <<-CONFIG
		apiVersion: v1
		kind: Config
		clusters: [{name: lab, cluster: {server: "https://127.0.0.1:$api", insecure-skip-tls-verify: true}}]
		users: [{name: admin, user: {token: "$token"}}]
		contexts: [{name: lab, context: {cluster: lab, user: admin}}]
		current-context: lab
	CONFIG
	cat >"$state/containerd.toml" <<-CONFIG
		version = 2
		root = "$state/containerd"
		state = "$state/containerd-run"
		[grpc]
		  address = "$state/containerd.sock"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "localhost/pause:3.2"
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "/usr/lib/cni"
		    conf_dir = "$state/cni"
	CONFIG
	cat >"$state/cni/10-lab.conflist" <<-CONFIG
		{"cniVersion": "0.4.0", "name": "lab", "plugins": [
		  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": true, "hairpinMode": true,
		   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
		  {"type": "portmap", "capabilities": {"portMappings": true}}]}
	CONFIG
	cat >"$state/kubelet.yaml" <<-CONFIG
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
		authorization: {mode: AlwaysAllow}
		cgroupDriver: cgroupfs
		failSwapOn: false
		healthzPort: 21248
		evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
		clusterDNS: [$gateway]
		clusterDomain: cluster.local
	CONFIG
	sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops net.ipv4.ip_forward >"$state/sysctls"
}

pause_image() {
	local context=$state/pause
	mkdir -p "$context"
	cp "$bin/pause" "$context/"
	printf 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]\n' >"$context/Dockerfile"
	containers
	buildah build --quiet --tag localhost/pause:3.2 "$context" >/dev/null
	podman save --quiet --format oci-archive --output "$state/pause.tar" localhost/pause:3.2
	ctr images import "$state/pause.tar" >/dev/null
}

# The images' storage of images.sh.
containers() {
	local images=${CARGO_TARGET_DIR:-$root/target}/images
	export CONTAINERS_CONF=$images/containers.conf CONTAINERS_STORAGE_CONF=$images/storage.conf
}

up() {
	local program
	for program in containerd runc dnsmasq conntrack iptables buildah podman; do
		command -v "$program" >/dev/null || {
			say "missing: apt-get install containerd runc containernetworking-plugins dnsmasq-base conntrack iptables buildah podman"
			return 1
		}
	done
	files
	ip link add "$bridge" type bridge 2>/dev/null || true
	ip addr replace "$gateway/24" dev "$bridge"
	ip link set "$bridge" up
	sysctl -qw net.ipv4.ip_forward=1 "net.ipv4.conf.$bridge.route_localnet=1"
	start etcd "$bin/etcd" --data-dir "$state/etcd" --listen-client-urls http://127.0.0.1:23790 \
		--advertise-client-urls http://127.0.0.1:23790 --listen-peer-urls http://127.0.0.1:23800 \
		--initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster default=http://127.0.0.1:23800
	start containerd containerd --config "$state/containerd.toml"
	start apiserver "$bin/kube-apiserver" --etcd-servers http://127.0.0.1:23790 --secure-port $api --bind-address 127.0.0.1 \
		--cert-dir "$state/certificates" --service-cluster-ip-range 10.96.0.0/16 --endpoint-reconciler-type none \
		--service-account-issuer https://kubernetes.default.svc --service-account-signing-key-file "$state/accounts.key" \
		--service-account-key-file "$state/accounts.key" --authorization-mode Node,RBAC --token-auth-file "$state/tokens.csv" \
		--kubelet-preferred-address-types InternalIP
	until_true 60 k get --raw /readyz
	start controllers "$bin/kube-controller-manager" --kubeconfig "$state/kubeconfig" --leader-elect=false \
		--service-account-private-key-file "$state/accounts.key" --root-ca-file "$state/certificates/apiserver.crt"
	start scheduler "$bin/kube-scheduler" --kubeconfig "$state/kubeconfig" --leader-elect=false
	until_true 30 ctr version
	pause_image
	start kubelet "$bin/kubelet" --kubeconfig "$state/kubeconfig" --config "$state/kubelet.yaml" --root-dir "$state/kubelet" \
		--cert-dir "$state/kubelet/pki" --hostname-override lab --container-runtime=remote \
		--container-runtime-endpoint="unix://$state/containerd.sock"
	start proxy "$bin/kube-proxy" --kubeconfig "$state/kubeconfig" --hostname-override lab --cluster-cidr 10.244.0.0/16 \
		--proxy-mode iptables --conntrack-max-per-core=0
	touch "$state/hosts"
	start dns dnsmasq --no-daemon --no-resolv --no-hosts --local=/cluster.local/ "--addn-hosts=$state/hosts" "--listen-address=$gateway" \
		--bind-interfaces --user=root
	until_true 60 ready
	k get nodes
}
ready() { k get node lab | grep -qw Ready; }

load() {
	containers
	local service archive
	for service in "${services[@]}"; do
		podman image exists "localhost/switchhook/$service:test" || { say "$service has no image: images.sh build"; continue; }
		archive=$state/$service.tar
		rm -f "$archive"
		podman tag "localhost/switchhook/$service:test" "docker.io/switchhook/$service:dev" "docker.io/switchhook/$service:next"
		podman save --quiet --format docker-archive --output "$archive" "docker.io/switchhook/$service:dev"
		ctr images import "$archive" >/dev/null
		ctr images tag --force "docker.io/switchhook/$service:dev" "docker.io/switchhook/$service:next" >/dev/null
		rm -f "$archive"
		say "loaded $service"
	done
}

# A port of this machine's loopback gets a name and a port in the cluster: NAME PORT PORT-HERE.
outside() {
	iptables -t nat -A PREROUTING -i "$bridge" -d "$gateway" -p tcp --dport "$2" -j DNAT --to-destination "127.0.0.1:$3"
	iptables -t nat -A INPUT -i "$bridge" -d 127.0.0.1 -p tcp --dport "$3" -j SNAT --to-source 127.0.0.1
	echo "$gateway $1.svc.cluster.local" >>"$state/outside"
}

# What 1.20 calls otherwise.
as_in_1_20() {
	sed -e 's,^apiVersion: policy/v1$,apiVersion: policy/v1beta1,' -e 's,^apiVersion: autoscaling/v2$,apiVersion: autoscaling/v2beta2,'
}

deploy() {
	: "${DATABASE_PORT:?of a PostgreSQL that listens on 127.0.0.1 and lets postgres in without a password}"
	: "${STANDIN_N8N_PORT:?where 127.0.0.1 takes webhooks}"
	KUBECONFIG=$state/kubeconfig sh "$root/k8s/secrets.sh" dev
	roles
	# All of dev but its own PostgreSQL.
	rm -rf "$state/overlay"
	cp -R "$root/k8s" "$state/overlay"
	sed -i '/^  - postgres$/d' "$state/overlay/overlays/dev/kustomization.yaml"
	kubectl kustomize "$state/overlay/overlays/dev" | as_in_1_20 | k apply --filename - >/dev/null
	outside "postgres.$namespace" 5432 "$DATABASE_PORT"
	outside n8n.n8n 5678 "$STANDIN_N8N_PORT"
	names
	local service
	for service in "${services[@]}"; do
		k -n "$namespace" rollout status "deployment/$service" --timeout=180s || say "$service is not there"
	done
	k -n "$namespace" get pods
}

# The services' roles, with the passwords of the Secrets.
roles() {
	local role password
	psql -h 127.0.0.1 -p "$DATABASE_PORT" -U postgres -qc 'CREATE DATABASE switchhook' 2>/dev/null || true
	for role in session chat retell dispatch task-chat; do
		password=$(k -n "$namespace" get secret "postgres-$role" -o go-template='{{.data.password | base64decode}}')
		role=${role//-/_}
		# The role may be there already.
		psql -h 127.0.0.1 -p "$DATABASE_PORT" -U postgres -d switchhook -q <<-SQL 2>/dev/null
			CREATE ROLE $role LOGIN;
			ALTER ROLE $role PASSWORD '$password';
			GRANT CREATE ON DATABASE switchhook TO $role;
		SQL
	done
}

# What names resolve to: dnsmasq is told of each Service.
names() {
	k get services --all-namespaces -o go-template='{{range .items}}{{if ne .spec.clusterIP "None"}}{{.spec.clusterIP}} {{.metadata.name}}.{{.metadata.namespace}}.svc.cluster.local{{"\n"}}{{end}}{{end}}' >"$state/hosts"
	cat "$state/outside" >>"$state/hosts"
	kill -HUP "$(cat "$state/pid/dns")"
}

pods() { k -n "$namespace" get pods -l "app.kubernetes.io/name=$service" --field-selector=status.phase=Running -o name; }
evict() {
	local pod=${1#pod/}
	printf '{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' "$pod" "$namespace" |
		k create --raw "/api/v1/namespaces/$namespace/pods/$pod/eviction" -f - 2>&1
}
settled() { k -n "$namespace" rollout status "deployment/$service" --timeout=180s >/dev/null; }
# Runs a step under load and prints what became of the requests: NAME COMMAND …
under_load() {
	local name=$1 load
	shift
	python3 "$here/load.py" "$url" >"$state/load" &
	load=$!
	sleep 3
	"$@"
	sleep 3
	kill -TERM "$load"
	wait "$load" || true
	printf '%-22s %-28s %s\n' "$service" "$name" "$(cat "$state/load")"
}

roll() {
	k -n "$namespace" rollout restart "deployment/$service" >/dev/null
	settled
}
bad_image() {
	k -n "$namespace" patch deployment "$service" --type=json \
		-p '[{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["no-such-command"]}]' >/dev/null
	sleep 30
	k -n "$namespace" get pods -l "app.kubernetes.io/name=$service" >&2
	k -n "$namespace" rollout undo "deployment/$service" >/dev/null
	settled
}
evictions() {
	local pod
	for pod in $(pods); do
		say "evict ${pod#pod/}: $(evict "$pod" || true)"
	done
	sleep 2
	settled
}
crash() {
	local pod container pid
	pod=$(pods | head -n 1)
	container=$(k -n "$namespace" get "$pod" -o go-template='{{(index .status.containerStatuses 0).containerID}}')
	pid=$(ctr tasks ls | awk -v id="${container#containerd://}" '$1 == id { print $2 }')
	kill -KILL "$pid"
	until_true 60 restarted "$pod"
	settled
}
restarted() { [ "$(k -n "$namespace" get "$1" -o go-template='{{with index .status.containerStatuses 0}}{{.restartCount}}{{.ready}}{{end}}')" = 1true ]; }

# What an operator reads, out of PostgreSQL.
path_of() {
	case $1 in
	session-svc) echo /api/ai-session/status ;;
	chat-ws-svc) echo /api/sessions ;;
	retell-ingest-svc) echo /api/retell/agent-status ;;
	dispatch-bridge-svc) echo /dispatches ;;
	task-chat-svc) echo /api/tasks ;;
	esac
}

drill() {
	local service url address
	JWT_SECRET=$(k -n "$namespace" get secret session-svc -o go-template='{{.data.JWT_SECRET | base64decode}}')
	export JWT_SECRET
	for service in "${services[@]}"; do
		address=$(k -n "$namespace" get service "$service" -o go-template='{{.spec.clusterIP}}:{{(index .spec.ports 0).port}}')
		url=http://$address$(path_of "$service")
		under_load 'rolling update' roll
		under_load 'a version that crashes' bad_image
		under_load 'evictions' evictions
		under_load 'kill -9 of a pod' crash
	done
}

down() {
	k delete deployments,pods --all-namespaces --all --grace-period=0 --force >/dev/null 2>&1 || true
	until_true 30 none_left || true
	local name
	for name in kubelet proxy dns scheduler controllers apiserver etcd; do
		[ ! -e "$state/pid/$name" ] || kill "$(cat "$state/pid/$name")" 2>/dev/null || true
	done
	"$bin/kube-proxy" --cleanup >/dev/null 2>&1 || true
	rules
	sleep 1
	kill "$(cat "$state/pid/containerd")" 2>/dev/null || true
	ip link del "$bridge" 2>/dev/null || true
	# What kubelet has set and mounted.
	sysctl --quiet --load="$state/sysctls" || true
	awk -v state="$state/" 'index($2, state) == 1 { print $2 }' /proc/mounts | sort -r | xargs --no-run-if-empty umount --lazy
}

# Takes out what this script, kubelet and kube-proxy have put into iptables.
rules() {
	local table chain rule
	for table in nat mangle filter; do
		iptables -t $table -S | sed -n -e "/-i $bridge /s/^-A //p" -e '/-j KUBE-/s/^-A //p' | while read -ra rule; do
			iptables -t $table -D "${rule[@]}" 2>/dev/null || true
		done
		for chain in $(iptables -t $table -S | sed -n 's/^-N \(KUBE-.*\)/\1/p'); do
			iptables -t $table -F "$chain"
		done
		for chain in $(iptables -t $table -S | sed -n 's/^-N \(KUBE-.*\)/\1/p'); do
			iptables -t $table -X "$chain" || true
		done
	done
}
none_left() { [ -z "$(ctr tasks ls --quiet)" ]; }

command=${1:-}
case $command in
up | down) bin=${2:?DIRECTORY}/bin state=${3:?STATE} ;;
load | deploy) state=${2:?STATE} ;;
drill)
	state=${2:?STATE}
	[ $# -le 2 ] || services=("${@:3}")
	;;
*) sed -n 's/^#   //p' "$0" >&2 && exit 2 ;;
esac
mkdir -p "$state"
state=$(cd "$state" && pwd)
"$command"
