# Two images from one file: `throughline` (Airflow, dbt, connectors) and `superset`.
FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends curl tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --uid 10001 throughline \
    && pip install --no-cache-dir uv==0.13.9
WORKDIR /opt/throughline
ENTRYPOINT ["tini", "--"]

FROM base AS throughline
COPY requirements.txt .
RUN uv pip install --system --no-cache --compile-bytecode -r requirements.txt
COPY dags dags
COPY plugins plugins
COPY include include
COPY dbt_project dbt_project
COPY simulator simulator
COPY demo demo
RUN mkdir -p .local /opt/airflow && chown -R throughline .local /opt/airflow
ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/throughline/plugins:/opt/throughline \
    PYTHONUNBUFFERED=1
USER throughline

FROM base AS superset
COPY requirements-superset.txt .
RUN uv pip install --system --no-cache --compile-bytecode -r requirements-superset.txt
COPY include/superset include/superset
ENV SUPERSET_HOME=/home/throughline/superset \
    SUPERSET_CONFIG_PATH=/opt/throughline/include/superset/superset_config.py \
    FLASK_APP=superset.app:create_app() \
    PYTHONUNBUFFERED=1
USER throughline
