#!/bin/bash
# A one-node Kubernetes on this machine, of the programs of `kubernetes.sh DIRECTORY node` and Debian's containerd, with the dev
# overlay in it: to see pods roll, be evicted and crash (drill.sh). Needs root and is for a machine that may be thrown away: it
# makes a bridge, rules of iptables, and kubelet sets some sysctls.
#
#   cluster.sh all DIRECTORY STATE        all of the following, one after the other
#   cluster.sh up DIRECTORY STATE         the node is ready (half a minute)
#   cluster.sh load STATE                 takes the images that `images.sh build` has made, and this machine's PostgreSQL as one
#   cluster.sh deploy STATE               the whole overlay, with stand-ins for n8n and LiveKit (DEVSTACK) on this machine's loopback
#   cluster.sh drill STATE [SERVICE …]    rolls, breaks, evicts and kills each under load; prints a table; ends with 1 if anything was lost
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
# The stand-ins' first port; the five after it are theirs too.
standins=15680
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
	# What an earlier cluster knew; its images stay.
	rm -rf "${state:?}"/{log,pid,etcd,volume}
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
		imageGCHighThresholdPercent: 100
		evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
		clusterDNS: [$gateway]
		clusterDomain: cluster.local
	CONFIG
	networks >"$state/networks"
	sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops net.ipv4.ip_forward >"$state/sysctls"
}

# The network namespaces that there are.
networks() { ip netns list | cut -d ' ' -f 1 | sort; }

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
	if k get --raw /readyz >/dev/null 2>&1; then
		say "it is up already: cluster.sh down"
		return 1
	fi
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
	local service
	for service in "${services[@]}"; do
		podman image exists "localhost/switchhook/$service:test" || { say "$service has no image: images.sh build"; continue; }
		podman tag "localhost/switchhook/$service:test" "docker.io/switchhook/$service:dev"
		into_the_node "docker.io/switchhook/$service:dev"
	done
	into_the_node "$(sh "$here/images.sh" postgres)"
}
into_the_node() {
	local archive=$state/image.tar
	rm -f "$archive"
	podman save --quiet --format docker-archive --output "$archive" "$1"
	ctr images import "$archive" >/dev/null
	rm -f "$archive"
	say "loaded $1"
}

# A port of this machine's loopback gets a name and a port in the cluster: NAME PORT PORT-HERE.
outside() {
	rule -t nat PREROUTING -i "$bridge" -d "$gateway" -p tcp --dport "$2" -j DNAT --to-destination "127.0.0.1:$3"
	rule -t nat INPUT -i "$bridge" -d 127.0.0.1 -p tcp --dport "$3" -j SNAT --to-source 127.0.0.1
	echo "$gateway $1.svc.cluster.local" >>"$state/outside"
}
rule() {
	local table=$2
	shift 2
	iptables -t "$table" -C "$@" 2>/dev/null || iptables -t "$table" -A "$@"
}

# What 1.20 calls otherwise.
as_in_1_20() {
	sed -e 's,^apiVersion: policy/v1$,apiVersion: policy/v1beta1,' -e 's,^apiVersion: autoscaling/v2$,apiVersion: autoscaling/v2beta2,'
}

deploy() {
	: "${DEVSTACK:?the program}"
	KUBECONFIG=$state/kubeconfig sh "$root/k8s/secrets.sh" dev
	volume
	overlay
	kubectl kustomize "$state/overlay/overlays/dev" | as_in_1_20 | k apply --filename - >/dev/null
	: >"$state/outside"
	outside n8n.n8n 5678 "$standins"
	outside livekit.livekit 7880 "$((standins + 4))"
	names
	stand_in
	until_true 120 address_of_postgres
	names
	local service
	for service in "${services[@]}"; do
		until_true 120 replicas "$service" || say "$service is not there"
	done
	k -n "$namespace" get pods
}
# As many as the autoscaler wants at least.
replicas() {
	local least
	least=$(k -n "$namespace" get horizontalpodautoscaler "$1" -o go-template='{{.spec.minReplicas}}')
	[ "$(k -n "$namespace" get deployment "$1" -o go-template='{{.status.availableReplicas}}')" = "$least" ]
}

# Nobody provides volumes here.
volume() {
	mkdir -p "$state/volume"
	chown 70:70 "$state/volume"
	k apply --filename - >/dev/null <<-YAML
		apiVersion: v1
		kind: PersistentVolume
		metadata: {name: postgres}
		spec:
		  capacity: {storage: 2Gi}
		  accessModes: [ReadWriteOnce]
		  hostPath: {path: "$state/volume"}
	YAML
}
address_of_postgres() { k -n "$namespace" get endpoints postgres -o go-template='{{(index (index .subsets 0).addresses 0).ip}}' 2>/dev/null; }

# The dev overlay with stand-ins outside, and visitors that write more than a person would.
overlay() {
	rm -rf "$state/overlay"
	cp -R "$root/k8s" "$state/overlay"
	local base=$state/overlay/base
	sed -i 's,^LIVEKIT_URL=.*,LIVEKIT_URL=http://livekit.livekit.svc.cluster.local:7880,; s,/webhook/dispatch-result,/webhook/call-result,' \
		"$base/dispatch-bridge-svc/settings.env"
	sed -i 's,/webhook/chat-bot,/webhook/chat,' "$base/chat-ws-svc/settings.env"
	echo VISITOR_RATE=6000 >>"$base/chat-ws-svc/settings.env"
}

# One value of a service's Secret: SERVICE KEY.
value() { k -n "$namespace" get secret "$1" -o go-template="{{.data.$2 | base64decode}}"; }
# Where a service is, from this machine: SERVICE PORT.
at() { k -n "$namespace" get service "$1" -o go-template='{{.spec.clusterIP}}:'"$2"; }

# n8n and LiveKit, which know the secrets.
stand_in() {
	[ ! -e "$state/pid/standins" ] || kill "$(cat "$state/pid/standins")" 2>/dev/null || true
	local secrets
	secrets=$(value session-svc WEBHOOK_SECRETS)
	N8N_OUTBOUND_SECRET=$(value session-svc N8N_OUTBOUND_SECRET) WEBHOOK_SECRET=${secrets#n8n:} \
		LIVEKIT_API_KEY=$(value dispatch-bridge-svc LIVEKIT_API_KEY) LIVEKIT_API_SECRET=$(value dispatch-bridge-svc LIVEKIT_API_SECRET) \
		start standins "$DEVSTACK" standins --port "$standins" --dispatch-url "http://$(at dispatch-bridge-svc 8000)"
}

# What names resolve to: dnsmasq is told of each Service.
names() {
	k get services --all-namespaces -o go-template='{{range .items}}{{if ne .spec.clusterIP "None"}}{{.spec.clusterIP}} {{.metadata.name}}.{{.metadata.namespace}}.svc.cluster.local{{"\n"}}{{end}}{{end}}' >"$state/hosts"
	# It has no address of its own but its pod's.
	echo "$(address_of_postgres) postgres.$namespace.svc.cluster.local" | grep '^[0-9]' >>"$state/hosts" || true
	cat "$state/outside" >>"$state/hosts"
	kill -HUP "$(cat "$state/pid/dns")"
}

# shellcheck source-path=SCRIPTDIR disable=SC1091
. "$here/drill.sh"

down() {
	k delete deployments,statefulsets,pods --all-namespaces --all --grace-period=0 --force >/dev/null 2>&1 || true
	until_true 30 none_left || true
	local name
	for name in standins kubelet proxy dns scheduler controllers apiserver etcd; do
		[ ! -e "$state/pid/$name" ] || kill "$(cat "$state/pid/$name")" 2>/dev/null || true
	done
	"$bin/kube-proxy" --cleanup >/dev/null 2>&1 || true
	rules
	sleep 1
	kill "$(cat "$state/pid/containerd")" 2>/dev/null || true
	ip link del "$bridge" 2>/dev/null || true
	# Those of the pods.
	networks | comm -13 "$state/networks" - | xargs --no-run-if-empty -n 1 ip netns delete
	rm -rf "/var/log/pods/${namespace}_"*
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

all() {
	: "${DEVSTACK:?the program}"
	trap down EXIT
	up
	load
	deploy
	drill
}

command=${1:-}
case $command in
all | up | down) bin=${2:?DIRECTORY}/bin state=${3:?STATE} ;;
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
