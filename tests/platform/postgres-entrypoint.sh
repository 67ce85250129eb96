#!/bin/sh
# What the entry point of PostgreSQL's image does, as far as deploy/ and k8s/ need it: makes the database when there is none, with
# a server that listens on its socket only, and runs what lies in /docker-entrypoint-initdb.d.
set -eu

export PGDATA="${PGDATA:-/var/lib/postgresql/data}" POSTGRES_USER=postgres
as_postgres=''
if [ "$(id -u)" = 0 ]; then
	as_postgres='setpriv --reuid=70 --regid=70 --clear-groups'
	mkdir -p "$PGDATA"
	chown 70:70 "$PGDATA"
fi
if [ ! -e "$PGDATA/PG_VERSION" ]; then
	(umask 022 && printf %s "$POSTGRES_PASSWORD" >/tmp/password)
	$as_postgres initdb --username=postgres --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 >/dev/null
	rm /tmp/password
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	$as_postgres pg_ctl --wait --options="-c listen_addresses=''" start
	psql --username postgres --quiet --command "CREATE DATABASE $POSTGRES_DB"
	for script in /docker-entrypoint-initdb.d/*; do
		sh "$script"
	done
	$as_postgres pg_ctl --wait --mode=fast stop
fi
case ${1:-} in
-*) set -- postgres "$@" ;;
esac
exec $as_postgres "$@" -c listen_addresses='*'
