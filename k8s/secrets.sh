#!/bin/sh
# Makes the Secrets that the manifests name, with random values, straight into the overlay's namespace. What is there
# already stays as it is, and what several services share is taken over from it.
#
#   secrets.sh OVERLAY [DATABASE]           creates them; needs kubectl and a cluster
#   secrets.sh --print OVERLAY [DATABASE]   only prints what it would make for an empty namespace
#
# OVERLAY is dev or production; DATABASE (of production) is outside or cloudnative-pg. A value in the environment wins over a
# random one: SESSION__DATABASE_URL for one service, LIVEKIT_API_KEY for whoever has such a key.
set -eu

print=
if [ "${1:-}" = --print ]; then
	print=yes
	shift
fi
overlay=${1:-dev}
database=${2:-outside}
case $overlay-$database in
dev-*) namespace=switchhook-dev host=postgres ;;
production-outside) namespace=switchhook host= ;;
production-cloudnative-pg) namespace=switchhook host=postgres-rw ;;
*) echo "usage: $0 [--print] dev|production [outside|cloudnative-pg]" >&2 && exit 2 ;;
esac

say() { printf '· %s\n' "$1" >&2; }
k() { kubectl --namespace "$namespace" "$@"; }
random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
encode() { base64 | tr -d '\n'; }

exists() { [ -z "$print" ] && k get secret "$1" --output name >/dev/null 2>&1; }
# One value of a Secret that is there: SECRET KEY.
kept() { k get secret "$1" --output "go-template={{with index .data \"$2\"}}{{. | base64decode}}{{end}}"; }

# What all services must agree on: NAME RANDOM.
shared() {
	for service in session-svc chat-ws-svc retell-ingest-svc dispatch-bridge-svc task-chat-svc; do
		if exists "$service"; then
			kept "$service" "$1"
			return
		fi
	done
	printf %s "$2"
}

# What the environment says: PREFIX NAME. In dev nobody's own DATABASE_URL is meant.
given() {
	eval "value=\${$1__$2:-}"
	if [ -z "$value" ] && [ "$overlay-$2" != dev-DATABASE_URL ]; then
		eval "value=\${$2:-}"
	fi
	printf %s "$value"
}

# Keys and values of a Secret, each pair once, into a manifest on standard output: NAME TYPE KEY VALUE …
secret() {
	printf -- '---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\ntype: %s\ndata:\n' "$1" "$namespace" "$2"
	shift 2
	while [ $# -gt 0 ]; do
		[ -z "$2" ] || printf '  %s: %s\n' "$1" "$(printf %s "$2" | encode)"
		shift 2
	done
}

# A password of PostgreSQL: ROLE.
password() {
	if exists "postgres-$1"; then
		kept "postgres-$1" password
	else
		random
	fi
}

# Creates what a manifest describes: NAME; the manifest on standard input, so that no value is an argument of a process.
create() {
	if [ -n "$print" ]; then
		cat
	elif exists "$1"; then
		cat >/dev/null
		say "$1 is there already, and stays"
	else
		kubectl create --filename - >/dev/null
		say "$1 is made"
	fi
}

# The Secret of a service: NAME PREFIX ROLE [KEY RANDOM] …
service() {
	name=$1 prefix=$2 role=$3
	shift 3
	url=$(given "$prefix" DATABASE_URL)
	if [ -n "$host" ]; then
		word=$(password "$role")
		: "${url:=postgres://$(printf %s "$role" | tr - _):$word@$host:5432/switchhook}"
	elif [ -z "$url" ] && ! exists "$name"; then
		say "where is PostgreSQL? set ${prefix}__DATABASE_URL, or DATABASE_URL for all services"
		exit 2
	fi
	set -- "$@" WEBHOOK_SECRETS "$webhook" JWT_SECRET "$jwt" N8N_OUTBOUND_SECRET "$outbound" N8N_SIGNING_SECRET ''
	count=$#
	while [ "$count" -gt 0 ]; do
		value=$(given "$prefix" "$1")
		set -- "$@" "$1" "${value:-$2}"
		shift 2
		count=$((count - 2))
	done
	# The password first: if this ends in between, the next run finds it.
	[ -z "$host" ] || secret "postgres-$role" kubernetes.io/basic-auth username "$(printf %s "$role" | tr - _)" \
		password "$word" | create "postgres-$role"
	secret "$name" Opaque DATABASE_URL "$url" "$@" | create "$name"
}

if [ -z "$print" ]; then
	kubectl get namespace "$namespace" >/dev/null 2>&1 || kubectl create namespace "$namespace" --save-config >/dev/null
fi

webhook=$(shared WEBHOOK_SECRETS "n8n:$(random)")
jwt=$(shared JWT_SECRET "$(random)")
outbound=$(shared N8N_OUTBOUND_SECRET "$(random)")
# With public keys instead (JWT_JWKS_URL in the ConfigMap), delete JWT_SECRET from each.
service session-svc SESSION session
service chat-ws-svc CHAT chat CHAT_CHANNELS ''
service retell-ingest-svc RETELL retell DATA_KEY "$(head -c 32 /dev/urandom | encode)" RETELL_API_KEYS ''
service dispatch-bridge-svc DISPATCH dispatch LIVEKIT_API_KEY "API$(random | cut -c 1-12)" LIVEKIT_API_SECRET "$(random)" \
	LIVEKIT_WEBHOOK_KEYS '' RECORDING_ACCESS_KEY '' RECORDING_SECRET ''
service task-chat-svc TASK_CHAT task-chat AGENT_WEBHOOKS ''
if [ "$overlay" = dev ]; then
	secret postgres Opaque password "$(random)" | create postgres
fi
[ -n "$print" ] || say "n8n presents WEBHOOK_SECRETS: kubectl -n $namespace get secret session-svc -o go-template='{{.data.WEBHOOK_SECRETS | base64decode}}'"
