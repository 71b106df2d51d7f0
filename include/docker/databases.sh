#!/bin/bash
# Roles and databases, once, when PostgreSQL's volume is new; tables come from the migrate service.
set -eu

role() { # name, password
    psql --quiet --set ON_ERROR_STOP=1 --username postgres --set role="$1" --set password="$2" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
SQL
}

database() { # name, the same as its owner's
    psql --quiet --set ON_ERROR_STOP=1 --username postgres --set name="$1" <<'SQL'
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

role helper "$HELPER_DB_PASSWORD"
role mlops "$MLOPS_DB_PASSWORD"
role mlops_reader "$MLOPS_READER_DB_PASSWORD"
role airflow "$AIRFLOW_DB_PASSWORD"
role mlflow "$MLFLOW_DB_PASSWORD"
for name in helper mlops airflow mlflow; do database "$name"; done
psql --quiet --set ON_ERROR_STOP=1 --username postgres <<'SQL'
ALTER ROLE mlops_reader SET default_transaction_read_only = on;
GRANT CONNECT ON DATABASE helper TO mlops_reader;
SQL
