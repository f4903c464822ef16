"""Settings from the environment; each is read when it is needed, never at import."""

from __future__ import annotations

import os
import re
from pathlib import Path

from psycopg.conninfo import make_conninfo

from connectors.base.errors import ConfigError
from connectors.base.redaction import register

ROLES = (
    "migrator",
    "loader",
    "transformer",
    "publisher",
    "bi",
    "activator",
    "pii_reader",
)


def home() -> Path:
    """The project's root folder."""
    return Path(os.environ.get("THROUGHLINE_HOME") or Path(__file__).parents[3])


def sources_path() -> Path:
    """Where sources.yml is."""
    configured = os.environ.get("THROUGHLINE_SOURCES")
    return Path(configured) if configured else home() / "include" / "sources.yml"


def is_demo() -> bool:
    """May a connection point elsewhere than at the vendor (the simulated company)?"""
    return os.environ.get("THROUGHLINE_DEMO") == "1"


def dsn(role: str) -> str:
    """How to connect to the warehouse as this role: a libpq keyword string.

    Raises ConfigError naming the variable that is missing or wrong.
    """
    if role not in ROLES:
        raise ConfigError(
            f"no such warehouse role: {role!r} (known: {', '.join(ROLES)})"
        )
    variable = f"THROUGHLINE_{role.upper()}_PASSWORD"
    password = os.environ.get(variable)
    if not password:
        raise ConfigError(
            f"{variable} is not set: put the password of the warehouse role "
            f"{role!r} there"
        )
    register(password)
    port = os.environ.get("THROUGHLINE_WAREHOUSE_PORT") or "5432"
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(
            f"THROUGHLINE_WAREHOUSE_PORT is {port!r}: write a port number such as 5432"
        )
    return make_conninfo(
        host=os.environ.get("THROUGHLINE_WAREHOUSE_HOST") or "127.0.0.1",
        port=port,
        dbname=os.environ.get("THROUGHLINE_WAREHOUSE_DB") or "warehouse",
        user=role,
        password=password,
        application_name=f"throughline {role}",
    )


def token_key() -> tuple[str, bytes]:
    """The key of the tokens that stand for phones, e-mails and names: (id, 32 bytes).

    Raises ConfigError when THROUGHLINE_TOKEN_KEY is missing or has another shape.
    """
    value = os.environ.get("THROUGHLINE_TOKEN_KEY", "")
    match = re.fullmatch(r"([1-9]):([0-9a-fA-F]{64})", value)
    if match is None:
        raise ConfigError(
            "THROUGHLINE_TOKEN_KEY is not set or has a wrong shape: write "
            "<key id 1-9>:<64 hex digits>, for example 1:$(openssl rand -hex 32)"
        )
    register(match[2])
    return match[1], bytes.fromhex(match[2])
