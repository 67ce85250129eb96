#!/bin/sh
# Posts a completion by hand, as n8n would: ./test-webhook.sh <session-id> <calls-made>
#
# Where and with which secret: SESSION_URL and WEBHOOK_SECRET from the environment, else from target/devstack/env of
# a running `make up`. The secret never stands in the arguments of a process.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 <session-id> <calls-made>" >&2
    exit 2
fi
session_id=$1
calls_made=$2
case $session_id in
'' | *[!0-9A-Za-z-]*)
    echo "$0: a session id has letters, digits and hyphens only: $session_id" >&2
    exit 2
    ;;
esac
case $calls_made in
'' | *[!0-9]*)
    echo "$0: the number of calls must be a whole number: $calls_made" >&2
    exit 2
    ;;
esac

if [ -z "${SESSION_URL:-}" ] || [ -z "${WEBHOOK_SECRET:-}" ]; then
    env_file=$(dirname "$0")/../../target/devstack/env
    if [ ! -r "$env_file" ]; then
        echo "$0: set SESSION_URL and WEBHOOK_SECRET, or start the stack with: make up DETACH=1" >&2
        exit 2
    fi
    # What the environment gives wins over the file.
    given_url=${SESSION_URL:-}
    given_secret=${WEBHOOK_SECRET:-}
    # shellcheck disable=SC1090
    . "$env_file"
    SESSION_URL=${given_url:-$SESSION_URL}
    WEBHOOK_SECRET=${given_secret:-$WEBHOOK_SECRET}
fi

# In curl's configuration a quoted value escapes the backslash and the quote.
secret=$(printf '%s' "$WEBHOOK_SECRET" | sed 's/[\\"]/\\&/g')
body="{\"sessionId\":\"$session_id\",\"status\":\"finished\",\"callsMade\":$calls_made,\"message\":\"Posted by hand\"}"
printf 'header = "x-n8n-webhook-secret: %s"\n' "$secret" |
    curl --config - --silent --show-error --fail-with-body --max-time 30 \
        --header 'Content-Type: application/json' --data "$body" "${SESSION_URL%/}/api/ai-session/webhook"
echo
