"""The Airflow connections to the simulated company's accounts, as a deployment has them.

Every source accepts the one token T, and `T-x` where its connection wants a field
`extra.x` (see `simulator.face.TokenDesk`).
"""

from __future__ import annotations

import json
from pathlib import Path

from connectors.base import registry
from connectors.base.sources import load_sources

SOURCES = Path(__file__).with_name("sources.yml")


def connections(
    url: str, token: str, sources: Path = SOURCES, *, by_account: bool = False
) -> dict[str, str]:
    """Environment variable -> connection (JSON) of each account in `sources`.

    `url` is the server's address; `by_account` puts the account into the path, for
    recorded answers of several accounts of a source.
    """
    made = {}
    for each in load_sources(sources).sources:
        help_ = registry.connector_class(each.source).connection_help
        extra = {
            name.removeprefix("extra."): f"{token}-{name.removeprefix('extra.')}"
            for name in help_
            if name.startswith("extra.")
        }
        more = f"/{each.account}" if by_account else ""
        made[f"AIRFLOW_CONN_{each.conn_id}".upper()] = json.dumps(
            {
                "conn_type": "http",
                "host": f"{url}/{each.source}{more}",
                "login": "1",  # Bitrix24: whose webhook it is
                "password": token,
                "extra": json.dumps(extra),
            }
        )
    return made
