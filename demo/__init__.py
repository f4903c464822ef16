"""The whole product on one machine, without Docker: Postgres, Airflow, Superset."""
