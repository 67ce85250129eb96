#!/bin/sh
# Reads an example of an environment and writes it with random secrets where it says that they should be.
set -eu
umask 077

random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

while IFS= read -r line; do
	case $line in
	RETELL__DATA_KEY=*) line=RETELL__DATA_KEY=$(head -c 32 /dev/urandom | base64 | tr -d '\n') ;;
	*change-me-to-something-long-and-random) line=${line%change-me-to-something-long-and-random}$(random) ;;
	esac
	printf '%s\n' "$line"
done
