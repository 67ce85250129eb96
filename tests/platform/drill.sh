#!/bin/bash
# The drill of cluster.sh, which reads this file: each service is rolled, given versions that cannot run, evicted and killed,
# while load.py asks it. What was acknowledged is counted again in PostgreSQL.
# shellcheck disable=SC2154 # cluster.sh sets what is not set here

# Load before a step begins, and after it is over.
around=3
broken=0

# What of a service's writes is in PostgreSQL.
counted() {
	case $service in
	session-svc) echo session.claims ;;
	chat-ws-svc) echo "chat.entries WHERE sender = 'user'" ;;
	retell-ingest-svc) echo retell.events ;;
	dispatch-bridge-svc) echo "dispatch.dispatches WHERE step = 'placed'" ;;
	task-chat-svc) echo task_chat.messages ;;
	esac
}
kept() { in_postgres "SELECT count(*) FROM $(counted)"; }

row() { printf '%-20s %-26s %8s %6s %12s %6s %8s  %s\n' "$@"; }

# Runs a step under load and prints what became of the requests: NAME COMMAND …. The step says how it went.
under_load() {
	local name=$1 before load requests failed accepted slowest outcomes lost
	shift
	before=$(kept)
	python3 -B "$here/load.py" "$service" "$address" >"$state/load.$service" &
	load=$!
	sleep $around
	"$@" >"$state/said.$service" || { broken=1 && echo 'NOT AS IT SHOULD BE' >>"$state/said.$service"; }
	sleep $around
	kill -TERM $load
	wait $load || broken=1
	read -r requests failed accepted slowest outcomes <"$state/load.$service"
	lost=$((accepted - $(kept) + before))
	[ $lost -gt 0 ] || lost=0
	row "$service" "$name" "$requests" "$failed" "$accepted" $lost "$slowest s" "$(paste -sd ' ' "$state/said.$service")"
	say "$service: $outcomes"
	# Requests that a killed process was answering cannot be saved; what it had acknowledged must be.
	if [ $lost -gt 0 ] || { [ "$failed" -gt 0 ] && [ "$1" != die ]; }; then broken=1; fi
}

of_pods() { k -n "$namespace" get pods -l "app.kubernetes.io/name=$service" -o go-template="{{range .items}}$1{{end}}"; }
names_of_pods() { of_pods '{{if not .metadata.deletionTimestamp}}{{.metadata.name}} {{end}}'; }
# Rolled out, and the old pods are gone.
settled() {
	k -n "$namespace" rollout status "deployment/$service" --timeout=180s >/dev/null
	until_true 60 nobody_leaves
	until_true 60 replicas "$service"
}
nobody_leaves() { [ -z "$(of_pods '{{if .metadata.deletionTimestamp}}x{{end}}')" ]; }

roll() {
	local before after migrated
	before=$(names_of_pods)
	k -n "$namespace" rollout restart "deployment/$service" >/dev/null
	settled
	after=$(names_of_pods)
	migrated=$(of_pods '{{range .status.initContainerStatuses}}{{.name}}:{{.state.terminated.exitCode}} {{end}}' | xargs)
	echo "$(wc -w <<<"$after") new pods ($migrated)"
	# None of the old ones is left.
	[ -z "$(comm -12 <(xargs -n 1 <<<"$before" | sort) <(xargs -n 1 <<<"$after" | sort))" ]
}

# A version must not take over: WHY-IT-WAITS PATH VALUE (what is replaced in the pod's template).
held_back() {
	local good stay=0
	good=$(k -n "$namespace" get deployment "$service" -o go-template='{{index .metadata.annotations "deployment.kubernetes.io/revision"}}')
	k -n "$namespace" patch deployment "$service" --type=json \
		-p "[{\"op\": \"replace\", \"path\": \"/spec/template/spec/$2\", \"value\": $3}]" >/dev/null
	until_true 90 waits "$1" && replicas "$service" || stay=1
	k -n "$namespace" rollout undo "deployment/$service" --to-revision="$good" >/dev/null
	settled
	return $stay
}
waits() {
	of_pods '{{range .status.initContainerStatuses}}{{with .state.waiting}}{{.reason}} {{end}}{{end}}{{range .status.containerStatuses}}{{with .state.waiting}}{{.reason}} {{end}}{{end}}' |
		grep -qw "$1"
}
bad_versions() {
	local held=0
	# No registry is there: the image cannot be had.
	held_back ImagePullBackOff containers/0/image '"localhost:1/switchhook/none:missing"' && held=$((held + 1))
	held_back CrashLoopBackOff containers/0/args '["no-such-command"]' && held=$((held + 1))
	held_back CrashLoopBackOff initContainers/0/args '["no-such-command"]' && held=$((held + 1))
	echo "$held of 3 held back (no image, crash, migration)"
	[ $held = 3 ]
}

# One after the other, as fast as they can be asked: the last pod must stay.
evictions() {
	local pod answer evicted=0 refused=0
	for pod in $(names_of_pods); do
		answer=$(evict "$pod")
		case $answer in
		*'violate the pod'*) refused=$((refused + 1)) ;;
		*Success*) evicted=$((evicted + 1)) ;;
		*) say "$answer" ;;
		esac
	done
	settled
	echo "$evicted evicted, $refused refused by the budget"
	[ $evicted = 1 ] && [ $refused = 1 ]
}
evict() {
	printf '{"apiVersion":"policy/v1beta1","kind":"Eviction","metadata":{"name":"%s","namespace":"%s"}}' "$1" "$namespace" |
		k create --raw "/api/v1/namespaces/$namespace/pods/$1/eviction" -f - 2>&1 || true
}

die() {
	local pod container process before begun=$SECONDS
	pod=$(names_of_pods | cut -d ' ' -f 1)
	before=$(restarts)
	container=$(k -n "$namespace" get pod "$pod" -o go-template='{{(index .status.containerStatuses 0).containerID}}')
	process=$(ctr tasks ls | awk -v id="${container#containerd://}" '$1 == id { print $2 }')
	kill -KILL "$process"
	until_true 60 restarted
	settled
	echo "ready again after $((SECONDS - begun)) s"
}
restarts() { k -n "$namespace" get pod "$pod" -o go-template='{{(index .status.containerStatuses 0).restartCount}}'; }
restarted() {
	[ "$(restarts)" -gt "$before" ] && [ "$(k -n "$namespace" get pod "$pod" -o go-template='{{(index .status.containerStatuses 0).ready}}')" = true ]
}

in_postgres() { k -n "$namespace" exec postgres-0 -- psql --username postgres --dbname switchhook -Atc "$1"; }

# What LiveKit's stand-in dialled, against what the rows say: no number twice, and none of which the row says that it was not.
dialled() {
	until_true 60 nothing_under_way
	in_postgres "SELECT digits FROM dispatch.dispatches WHERE step = 'unsent'" >"$state/unsent"
	curl -sf "http://127.0.0.1:$((standins + 4))/_acted" | python3 -c 'import collections, json, sys
dialled = collections.Counter(one["destination"] for one in json.load(sys.stdin)["items"] if one["dialled"])
twice = [number for number, count in dialled.items() if count > 1]
denied = [line for line in map(str.strip, open(sys.argv[1])) if line in dialled]
print(f"{dialled.total()} numbers dialled, twice: {twice}, dialled though the row says not: {denied}")
sys.exit(bool(twice or denied))' "$state/unsent" >&2
}
nothing_under_way() { [ "$(in_postgres "SELECT count(*) FROM dispatch.dispatches WHERE step IN ('reserved', 'sending')")" = 0 ]; }

drill() {
	local service address
	JWT_SECRET=$(value session-svc JWT_SECRET)
	WEBHOOK_SECRETS=$(value session-svc WEBHOOK_SECRETS)
	WS_ADDRESS=$(at chat-ws-svc 8080)
	export JWT_SECRET WEBHOOK_SECRETS WS_ADDRESS
	row service step requests failed acknowledged lost slowest 'what happened'
	for service in "${services[@]}"; do
		address=$(at "$service" '{{(index .spec.ports 0).port}}')
		under_load 'rolling update' roll
		under_load 'versions that cannot run' bad_versions
		under_load 'every pod evicted' evictions
		under_load 'kill -9 of a pod' die
		[ "$service" != dispatch-bridge-svc ] || dialled || broken=1
	done
	return $broken
}
