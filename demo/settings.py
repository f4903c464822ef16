"""What the demo runs with: ports, generated secrets and the environment of its parts.

Everything is kept in `.local/demo.json` (readable by its owner alone), so that a
second `make demo` finds the first one's servers and passwords.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[1]
# DEMO_HOME puts a second demo beside the first (the tests do)
LOCAL = Path(os.environ.get("DEMO_HOME") or ROOT / ".local").resolve()
STATE = LOCAL / "demo.json"
# a folder of recorded answers (with index.yml and sources.yml) instead of the company
RECORDED = Path(os.environ["DEMO_RECORDED"]) if "DEMO_RECORDED" in os.environ else None
SOURCES = (RECORDED or ROOT / "simulator").resolve() / "sources.yml"

ROLES = ("loader", "transformer", "publisher", "bi")
PORTS = {"airflow": 8080, "superset": 8088, "postgres": 54329, "simulator": 8099}


class DemoError(RuntimeError):
    """Something the user has to mend; the text is one line that says how."""


def port_is_free(port: int) -> bool:
    """Whether nothing listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    if not value:
        return default
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise DemoError(f"{name}={value!r} is no port: give a number from 1 to 65535")
    return int(value)


@dataclass(frozen=True)
class DemoSettings:
    """Ports and secrets of this demo; `save` and `load` keep them over runs."""

    ports: dict[str, int]
    secret: dict[str, str] = field(repr=False)
    size: str
    seed: int
    days: int

    @classmethod
    def load(cls) -> DemoSettings:
        """The saved settings with this call's `DEMO_*` variables laid over them.

        A port of a server that is already up stays as it is.
        """
        saved: dict[str, Any] = {}
        if STATE.exists():
            saved = json.loads(STATE.read_text())
        ports = {
            name: _number(
                f"DEMO_{name.upper()}_PORT", saved.get("ports", {}).get(name, default)
            )
            for name, default in PORTS.items()
        }
        secret = {**_new_secrets(), **saved.get("secret", {})}
        return cls(
            ports=ports,
            secret=secret,
            size=os.environ.get("DEMO_SIZE") or saved.get("size", "1.0"),
            seed=int(os.environ.get("DEMO_SEED") or saved.get("seed", 1)),
            days=int(os.environ.get("DEMO_DAYS") or saved.get("days", 90)),
        )

    def save(self) -> None:
        """Write the settings where only their owner can read them."""
        LOCAL.mkdir(parents=True, exist_ok=True)
        partial = STATE.with_suffix(".partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(vars(self), indent=2) + "\n")
        partial.rename(STATE)

    def url(self, name: str) -> str:
        """The address of one of our servers on this machine."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def connections(self) -> dict[str, str]:
        """The Airflow connections of the demo's accounts, by environment variable."""
        # of the connectors alone: Airflow would be slow to import
        from simulator.connections import connections

        return connections(
            self.url("simulator"),
            self.secret["api_token"],
            SOURCES,
            by_account=bool(RECORDED),
        )

    def warehouse(self) -> dict[str, str]:
        """The environment of every step that touches the warehouse."""
        return {
            "THROUGHLINE_HOME": str(ROOT),
            "THROUGHLINE_DEMO": "1",
            "THROUGHLINE_SOURCES": str(SOURCES),
            # the simulated company ends on the day the demo began
            "THROUGHLINE_SCHEDULE": "none",
            "THROUGHLINE_WAREHOUSE_HOST": "127.0.0.1",
            "THROUGHLINE_WAREHOUSE_PORT": str(self.ports["postgres"]),
            "THROUGHLINE_WAREHOUSE_DB": "warehouse",
            "THROUGHLINE_TOKEN_KEY": f"1:{self.secret['token_key']}",
            **{
                f"THROUGHLINE_{role.upper()}_PASSWORD": self.secret[role]
                for role in ROLES
            },
            "GX_ANALYTICS_ENABLED": "false",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    def environment(self) -> dict[str, str]:
        """This process's environment with the demo's own settings laid over it."""
        home = os.environ.get("HOME") or str(LOCAL / "home")
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")},
            "HOME": home,
            "PATH": f"{ROOT / '.venv/bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
            "PYTHONUNBUFFERED": "1",
            "LC_ALL": "C.UTF-8",
            **self.warehouse(),
            **self.connections(),
        }


def _new_secrets() -> dict[str, str]:
    return {
        **{role: secrets.token_urlsafe(18) for role in ROLES},
        "postgres": secrets.token_urlsafe(18),
        "airflow": secrets.token_urlsafe(18),
        "superset": secrets.token_urlsafe(18),
        "airflow_admin": secrets.token_urlsafe(9),
        "superset_admin": secrets.token_urlsafe(9),
        "token_key": secrets.token_hex(32),
        "api_token": "demo-" + secrets.token_urlsafe(18),
        "airflow_fernet": Fernet.generate_key().decode(),
        "airflow_api": secrets.token_urlsafe(32),
        "airflow_jwt": secrets.token_urlsafe(48),
        "superset_key": secrets.token_urlsafe(42),
    }
