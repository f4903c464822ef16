"""What the tasks of the line do, as plain functions that need no Airflow."""
