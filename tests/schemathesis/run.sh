#!/bin/sh
# Schemathesis against every service of a running stack, as each kind of caller: no 5xx, and no answer that the description
# does not have. Run by `make fuzz`, inside `devstack exec`.
#
#   run.sh <directory of the virtual environment>
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
schemathesis=$1/bin/schemathesis
# Cases of one operation for one kind of caller.
examples=${EXAMPLES:-15}
seconds=${SECONDS_EACH:-12}
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
checks=$checks,unsupported_method,allow_header_conformance
export SCHEMATHESIS_HOOKS="$here/hooks.py"
cd "$(mktemp -d)"

status=0
for service in SESSION CHAT RETELL DISPATCH TASK_CHAT; do
	eval "url=\$${service}_URL"
	for caller in nobody user operator machine; do
		case $caller in
			nobody) header='X-Caller: nobody' ;;
			user) header="Authorization: Bearer $USER_TOKEN" ;;
			operator) header="Authorization: Bearer $OPERATOR_TOKEN" ;;
			machine) header="x-n8n-webhook-secret: $WEBHOOK_SECRET" ;;
		esac
		printf '· %s as %s\n' "$service" "$caller" >&2
		# Streams never end.
		"$schemathesis" run "$url/openapi.json" --header "$header" --checks "$checks" --phases examples,coverage,fuzzing \
			--max-examples "$examples" --max-time "$seconds" --exclude-path-regex '(/events|/stream)$' \
			--request-timeout 20 --suppress-health-check all --warnings off --no-color --continue-on-failure \
			--generation-database none > "$service-$caller.txt" 2>&1 || {
			status=1
			cat "$service-$caller.txt"
		}
		grep -E '^ *(Operations|Test cases|[0-9]+ generated|.*(passed|failed|skipped))' "$service-$caller.txt" | tail -3 || true
	done
done
exit "$status"
