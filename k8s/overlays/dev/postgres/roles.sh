#!/bin/sh
# Runs once, when the database is new: a role for each service, which makes its own schema and cannot read the others'.
# PostgreSQL's image reads it into its own shell, which has unset variables: no `set -u`.
set -e

for role in session chat retell dispatch task_chat; do
	ROLE=$role psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<-SQL
		\\getenv role ROLE
		\\getenv password $(echo "$role" | tr '[:lower:]' '[:upper:]')_PASSWORD
		CREATE ROLE :"role" LOGIN PASSWORD :'password';
		GRANT CREATE ON DATABASE :"DBNAME" TO :"role";
	SQL
done
