"""Which connectors there are: every folder beside `base` is one."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from connectors.base import connection as connections
from connectors.base import settings, token_store
from connectors.base.client import ApiClient
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import ConfigError
from connectors.base.oauth import Credentials
from connectors.base.redaction import register

if TYPE_CHECKING:
    from connectors.base.client import Auth
    from connectors.base.connector import Connector
    from connectors.base.oauth import TokenStore
    from connectors.base.sources import Account


@cache
def names() -> list[str]:
    """Names of all sources there is a connector for, sorted."""
    folder = Path(__file__).parent.parent
    return sorted(
        each.parent.name
        for each in folder.glob("*/__init__.py")
        if each.parent.name != "base" and "Connector" in each.read_text("utf-8")
    )


@cache
def connector_class(name: str) -> type[Connector]:
    """The connector of this source. Raises ConfigError when there is none."""
    from connectors.base.connector import Connector

    if name not in names():
        raise ConfigError(
            f"unknown source {name!r}, write one of: {', '.join(names())}"
        )
    module = importlib.import_module(f"connectors.{name}")
    for value in vars(module).values():
        if (
            isinstance(value, type)
            and issubclass(value, Connector)
            and getattr(value, "name", None) == name
        ):
            return value
    raise ConfigError(f"connectors/{name} holds no Connector whose name is {name!r}")


def validate_settings(account: Account, where: str | None = None) -> None:
    """Check the account's own settings. Raises ConfigError naming the field."""
    from connectors.base.sources import explain

    try:
        connector_class(account.source).Settings.model_validate(account.settings)
    except ValidationError as error:
        raise ConfigError(
            f"{where or f'sources.yml ({account})'}: settings."
            + explain(error, account.settings)
        ) from None


def build(
    account: Account,
    connection: ConnectionInfo | None = None,
    *,
    tokens: TokenStore | None = None,
    **client_options: Any,
) -> Connector:
    """A ready connector of an account; makes no request.

    `connection` stands in for the configured one; `tokens` is where access tokens that
    run out are kept (default: `token_store.default_store`); `client_options` go to
    ApiClient (`sleep` in tests, `limits` to be less patient). Raises ConfigError, one
    line naming the field and the fix.
    """
    cls = connector_class(account.source)
    validate_settings(account)
    if not cls.needs_connection(account):
        nowhere = ApiClient("https://localhost", name=str(account))
        return cls(account, ConnectionInfo(account.conn_id), nowhere)
    if connection is None:
        connection = connections.get(account.source, account.account)
    for name, what in cls.connection_needs(connection).items():
        connection.require(name, what)
    register(*(connection.get(name) for name in cls.Secrets))
    base_url = connection.base_url or cls.base_url
    if "*" in base_url:
        raise ConfigError(
            f"connection {connection.conn_id}: field host is empty; put there "
            f"the address of your own account, like {cls.base_url}"
        )
    is_own_address = cls.is_own_address(base_url)
    if not is_own_address and not settings.is_demo():
        raise ConfigError(
            f"connection {connection.conn_id}: field host is {base_url}, not "
            f"{cls.base_url}; empty it (only the demo, THROUGHLINE_DEMO=1, may read "
            "from elsewhere)"
        )
    auth: Auth | Credentials
    request = cls.token_request(account, connection, None)
    if request is None:
        auth = cls.auth(account, connection)
        register(*auth.headers.values(), *auth.secrets)
    else:
        register(*request.secrets())
        timing = {k: v for k, v in client_options.items() if k in ("sleep", "clock")}
        auth = Credentials(
            cls,
            account,
            connection,
            tokens or token_store.default_store(),
            is_own_address=is_own_address,
            **timing,
        )
    client = ApiClient(
        base_url,
        auth=auth,
        name=str(account),
        judge=cls.judge,
        if_refused=f"{cls.if_refused} (connection {connection.conn_id})",
        **{"limits": cls.limits_of(account), **client_options},
    )
    return cls(account, connection, client)
