#!/bin/sh
# Runs the public Autobahn cases against the service's own WebSocket acceptor, in echo mode, and fails where one of them
# does. The suite needs Python 2.7 and is installed below target/.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
target=$(cd "${CARGO_TARGET_DIR:-$here/../../target}" && pwd)
tools=$target/autobahn
echo_server=$target/${PROFILE:-debug}/examples/echo
# The address in the suite's own configuration.
address=127.0.0.1:9501
suite=autobahntestsuite==25.10.1
installer=virtualenv==20.15.1

say() { printf '· %s\n' "$1" >&2; }

python2() {
	for python in python2.7 "$HOME"/.pyenv/versions/2.7.*/bin/python; do
		if "$python" -c '' 2>/dev/null; then
			echo "$python"
			return
		fi
	done
	say 'Autobahn needs Python 2.7 (pyenv install 2.7.18)'
	exit 1
}

if [ ! -x "$tools/env/bin/wstest" ]; then
	say 'installing the Autobahn test suite (once, about two minutes)'
	python=$(python2)
	"$python" -m pip install --quiet --target "$tools/bootstrap" "$installer"
	PYTHONPATH=$tools/bootstrap "$python" -m virtualenv --quiet "$tools/env"
	"$tools/env/bin/pip" install --quiet "$suite"
fi

"$echo_server" "$address" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT

rm -rf "$tools/reports"
mkdir -p "$tools/reports"
cd "$tools"
say 'cases 1 to 7 and 10 (about three minutes)'
"$tools/env/bin/wstest" -m fuzzingclient -s "$here/fuzzingclient.json" >"$tools/log" 2>&1 || { tail -n 20 "$tools/log" >&2; exit 1; }
"$tools/env/bin/python" "$here/judge.py" "$tools/reports/index.json"
