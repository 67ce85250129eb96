#!/bin/sh
# Installs the pinned n8n, and the Node.js that it needs, into a directory: some minutes and 3 GB, once for each lock file.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=$1
wanted=$(sha256sum < "$here/package-lock.json")
if [ "$(cat "$dir/.installed" 2>/dev/null)" = "$wanted" ]; then exit 0; fi

case $(uname -sm) in
    'Linux x86_64') machine=x64 ;;
    'Linux aarch64') machine=arm64 ;;
    *) printf 'n8n is tested on Linux only, on x86-64 and arm64\n' >&2; exit 1 ;;
esac
printf '· installing n8n (once, about five minutes)\n' >&2
mkdir -p "$dir"
rm -f "$dir/.installed"
cp "$here/package.json" "$here/package-lock.json" "$dir/"
cd "$dir"

# Not `npm ci`: it insists on optional packages for other systems, which not every registry has.
# Install scripts stay off: they report usage, and download what nothing here needs.
npm install --ignore-scripts --no-audit --no-fund --loglevel=error >&2

# The one native module: what its authors built, else from its source.
node="$dir/node_modules/node-linux-$machine"
export PATH="$node/bin:$PATH"
loads() { node -e "new (require('sqlite3').Database)(':memory:')" 2>/dev/null; }
npm rebuild sqlite3 --nodedir="$node" --loglevel=error >&2
loads || npm rebuild sqlite3 --build-from-source --nodedir="$node" --loglevel=error >&2
loads

printf '%s\n' "$wanted" > .installed
