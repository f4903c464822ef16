"""Credentials of an account: an Airflow connection, from wherever it is kept."""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from connectors.base.errors import ConfigError
from connectors.base.redaction import register

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET_NAME = re.compile(r"token|secret|passw|key|code|webhook|auth", re.IGNORECASE)


@dataclass(frozen=True)
class ConnectionInfo:
    """Where an account's API is and how to prove who we are. Its repr has no secret."""

    conn_id: str
    base_url: str | None = None  # None: the vendor's own address
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def get(self, name: str) -> str:
        """A field as text: `login`, `password` or `extra.<name>`; empty if not there."""
        if name == "login":
            return self.login
        if name == "password":
            return self.password
        value = self.extra.get(name.removeprefix("extra."))
        return "" if value is None else str(value)

    def require(self, name: str, what: str = "") -> str:
        """A field that must be there; ConfigError naming it and what belongs in it."""
        value = self.get(name)
        if not value:
            raise ConfigError(
                f"connection {self.conn_id}: field {name} is empty"
                + (f"; put there {what}" if what else "")
            )
        if name != "login" and not value.isprintable():
            raise ConfigError(
                f"connection {self.conn_id}: field {name} has a line break or another "
                "unprintable character; paste it again"
            )
        return value


def conn_id(source: str, account: str) -> str:
    """Id of the Airflow connection of this account."""
    return f"throughline_{source}__{account}"


def conn_id_of(label: str) -> str:
    """The connection behind a request, by its label (`<source>/<account>: …`)."""
    source, _, account = label.partition(":")[0].partition("/")
    return conn_id(source, account)


def get(source: str, account: str) -> ConnectionInfo:
    """The connection of an account: from AIRFLOW_CONN_… (JSON), else from Airflow.

    Airflow is asked inside a task, or when a secrets backend is configured.
    Everything in it that may be a secret is masked from now on.
    Raises ConfigError naming the variable and the fix.
    """
    name = conn_id(source, account)
    variable = f"AIRFLOW_CONN_{name.upper()}"
    text = os.environ.get(variable)
    if text:
        return _from_json(name, variable, text)
    if "airflow.sdk" in sys.modules or os.environ.get("AIRFLOW__SECRETS__BACKEND"):
        found = _from_airflow(name)
        if found is not None:
            return found
    raise ConfigError(
        f"there is no connection {name}: add it in Airflow (Admin, Connections), or set "
        f'{variable} to JSON such as {{"conn_type": "http", "password": "<token>"}}'
    )


def _from_json(name: str, variable: str, text: str) -> ConnectionInfo:
    register(text)
    wrong = (
        f"{variable} is not a JSON object; write it as "
        '{"conn_type": "http", "host": "…", "login": "…", "password": "…", "extra": {}}'
    )
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ConfigError(wrong) from None
    if not isinstance(value, dict):
        raise ConfigError(wrong)
    return _connection(
        name,
        host=value.get("host"),
        schema=value.get("schema"),
        port=value.get("port"),
        login=value.get("login"),
        password=value.get("password"),
        extra=value.get("extra"),
    )


def _from_airflow(name: str) -> ConnectionInfo | None:
    sdk = importlib.import_module("airflow.sdk")
    not_found = importlib.import_module("airflow.exceptions").AirflowNotFoundException
    try:
        found = sdk.Connection.get(name)
    except not_found:
        return None
    return _connection(
        name,
        host=found.host,
        schema=found.schema,
        port=found.port,
        login=found.login,
        password=found.password,
        extra=found.extra,
    )


def _connection(
    name: str,
    *,
    host: Any,
    schema: Any,
    port: Any,
    login: Any,
    password: Any,
    extra: Any,
) -> ConnectionInfo:
    if isinstance(extra, str) and extra.strip():
        try:
            extra = orjson.loads(extra)
        except orjson.JSONDecodeError:
            raise ConfigError(
                f"connection {name}: field extra is not JSON; write a JSON object"
            ) from None
    extra = extra or {}
    if not isinstance(extra, dict):
        raise ConfigError(f"connection {name}: field extra must be a JSON object")
    register(str(password) if password else None)
    for key, value in extra.items():
        if isinstance(value, str) and _SECRET_NAME.search(key):
            register(value)
    return ConnectionInfo(
        conn_id=name,
        base_url=_base_url(name, host, schema, port),
        login=str(login or ""),
        password=str(password or ""),
        extra=extra,
    )


def _base_url(name: str, host: Any, schema: Any, port: Any) -> str | None:
    if not host:
        return None
    text = str(host).strip().rstrip("/")
    if "://" not in text:
        text = f"{schema or 'https'}://{text}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ConfigError(
            f"connection {name}: field host must be an address such as "
            "https://api.example.com"
        )
    if parts.username is not None or parts.password is not None:
        register(parts.password)
        raise ConfigError(
            f"connection {name}: field host must not hold a login or password; "
            "put them into the fields of those names"
        )
    if port and parts.port is None:
        text = text.replace(parts.netloc, f"{parts.netloc}:{port}", 1)
    return text
