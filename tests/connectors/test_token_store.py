"""Tokens in the warehouse: one renewal for all workers, and none lost when one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connectors.base import connection as connections
from connectors.base.connection import ConnectionInfo
from connectors.base.connector import Connector
from connectors.base.errors import ConfigError, FatalError, RetriableError
from connectors.base.oauth import Credentials, MemoryTokens, TokenRequest
from connectors.base.sources import Account
from connectors.base.token_store import WarehouseTokens, default_store
from simulator import server
from simulator.face import Face, Options, Request, Response, TokenDesk, json_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST = "demo-token-refresh_token"


class Shop(Connector):
    """A vendor whose refresh tokens work once."""

    name = "shop"
    role = "ads"
    base_url = "https://api.example.com"
    if_refused = "authorise the integration again"
    streams = ()

    @classmethod
    def token_request(
        cls, account: Account, connection: ConnectionInfo, refresh_token: str | None
    ) -> TokenRequest:
        refresh = refresh_token or connection.get("extra.refresh_token")
        given = {"grant_type": "refresh_token", "refresh_token": refresh}
        return TokenRequest("https://api.example.com/token", json=given, one_time=True)

    def pages(self, stream: Any, window: Any, cursor: Any) -> Any:
        raise NotImplementedError

    def parse(self, stream: Any, body: bytes, headers: Any) -> Any:
        raise NotImplementedError

    def check(self) -> Any:
        raise NotImplementedError


def account(name: str) -> Account:
    return Account(
        source="shop",
        account=name,
        time_zone="Europe/Moscow",
        currency_code="RUB",
        vat_included=False,
    )


def credentials(
    name: str, base_url: str, store: Any, refresh_token: str = FIRST
) -> Credentials:
    connection = ConnectionInfo(
        connections.conn_id("shop", name),
        base_url=base_url,
        extra={"refresh_token": refresh_token},
    )
    return Credentials(Shop, account(name), connection, store, is_own_address=False)


class ShopFace(Face):
    def __init__(self, world: Any, options: Options) -> None:
        super().__init__(world, options)
        self.desk = TokenDesk(options, "shop", one_time=True, single=True)

    def handle(self, request: Request) -> Response:
        if request.path == "/token":
            return self.desk.answer(request)
        if not self.desk.accepts(request):
            return self.unauthorized(request)
        return json_response({"ok": True})


@pytest.fixture
def shop() -> Iterator[server.RunningServer]:
    from tests.connectors.bench import small_world

    world = small_world()
    running = server.start(world, faces={"shop": ShopFace})
    yield running
    running.stop()


def desk_of(shop: server.RunningServer) -> TokenDesk:
    desk = shop.backend.face("shop").desk  # type: ignore[attr-defined]
    assert isinstance(desk, TokenDesk)
    return desk


@pytest.fixture
def loader(superuser: str) -> str:
    return make_conninfo(superuser, user="loader")


def ask(address: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(address, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def renewals(address: str, name: str) -> list[str]:
    rows = ask(
        address,
        "select coalesce(outcome, '') || case when ended_at is null then ' open'"
        " else '' end from ops.oauth_renewals where account_id = %s"
        " order by renewal_id",
        name,
    )
    return [row[0] for row in rows]


def bearer(auth: Any) -> str:
    return str(auth.headers["Authorization"]).partition(" ")[2]


def test_a_token_is_kept_sealed_and_found_by_the_next_process(
    shop: server.RunningServer, loader: str, superuser: str
) -> None:
    url = f"{shop.base_url}/shop"
    one = credentials("kept", url, WarehouseTokens(loader)).current()
    two = credentials("kept", url, WarehouseTokens(loader)).current()
    assert bearer(one) == bearer(two) == "demo-token-access-1"
    assert desk_of(shop).issued == 1
    ((sealed, expires_at),) = ask(
        superuser,
        "select sealed, expires_at from ops.oauth_tokens where account_id = 'kept'",
    )
    assert expires_at is not None
    assert b"demo-token" not in bytes(sealed)
    assert renewals(superuser, "kept") == ["renewed"]


def test_one_refused_token_is_renewed_by_the_last_refresh_token(
    shop: server.RunningServer, loader: str
) -> None:
    url = f"{shop.base_url}/shop"
    one = credentials("chain", url, WarehouseTokens(loader))
    two = credentials("chain", url, WarehouseTokens(loader))
    first, same = one.current(), two.current()
    second = one.renewed(first)
    # the other worker's token died with it, and it takes the new one
    assert bearer(two.renewed(same)) == bearer(second) == "demo-token-access-2"
    assert bearer(two.renewed(second)) == "demo-token-access-3"
    assert desk_of(shop).issued == 3


@pytest.mark.parametrize("column", ["sealed", "credentials"])
def test_a_token_of_another_account_is_none(
    shop: server.RunningServer, loader: str, superuser: str, column: str
) -> None:
    """Sealed values cannot be put into another account's row."""
    url = f"{shop.base_url}/shop"
    credentials("mine", url, WarehouseTokens(loader)).current()
    ask(
        superuser,
        "insert into ops.oauth_tokens (source, account_id, sealed, credentials)"
        " select source, 'yours', sealed, credentials from ops.oauth_tokens"
        " where account_id = 'mine' on conflict (source, account_id)"
        " do update set sealed = excluded.sealed returning 1",
    )
    store = WarehouseTokens(loader)
    yours = account("yours")
    assert store.read(yours, credentials("yours", url, store)._fingerprint) is None


def test_another_key_is_said_when_the_vendor_refuses(
    shop: server.RunningServer, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{shop.base_url}/shop"
    credentials("keyed", url, WarehouseTokens(loader)).current()
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "2:" + "6b" * 32)
    with pytest.raises(FatalError, match="sealed with another THROUGHLINE_TOKEN_KEY"):
        credentials("keyed", url, WarehouseTokens(loader)).current()


def test_a_new_authorisation_opens_a_lost_account(
    shop: server.RunningServer, loader: str, superuser: str
) -> None:
    url = f"{shop.base_url}/shop"
    store = WarehouseTokens(loader)
    desk_of(shop)._used.add(FIRST)
    with pytest.raises(FatalError, match="authorise the integration again"):
        credentials("lost", url, store).current()
    again = credentials("lost", url, store, "demo-token-second").current()
    assert bearer(again) == "demo-token-access-1"
    assert renewals(superuser, "lost") == ["failed", "renewed"]


def test_a_warehouse_that_fails_after_the_vendor_answered_is_asked_again(
    shop: server.RunningServer, loader: str, superuser: str
) -> None:
    """The first connection dies between the vendor's answer and the commit."""
    made: list[psycopg.Connection[Any]] = []

    def connect(address: str) -> psycopg.Connection[Any]:
        made.append(psycopg.connect(address))
        return made[-1]

    class Dying(WarehouseTokens):
        def _save(self, holder: Any, *values: Any) -> None:
            holder.close()
            super()._save(holder, *values)

    url = f"{shop.base_url}/shop"
    slept: list[float] = []
    store = Dying(loader, connect=connect, sleep=slept.append)
    assert bearer(credentials("dying", url, store).current()) == "demo-token-access-1"
    assert len(slept) == 1
    next_one = credentials("dying", url, WarehouseTokens(loader))
    assert bearer(next_one.current()) == "demo-token-access-1"
    assert renewals(superuser, "dying") == ["renewed"]


def test_a_warehouse_that_is_not_there_is_named(shop: server.RunningServer) -> None:
    nowhere = "host=127.0.0.1 port=9 user=loader dbname=warehouse"
    with pytest.raises(RetriableError, match="the warehouse"):
        credentials("x", f"{shop.base_url}/shop", WarehouseTokens(nowhere)).current()
    assert desk_of(shop).issued == 0


def test_a_warehouse_that_is_not_set_up_says_so(
    shop: server.RunningServer, postgres: str
) -> None:
    store = WarehouseTokens(postgres)
    with pytest.raises(ConfigError, match="pipeline setup"):
        credentials("x", f"{shop.base_url}/shop", store).current()


def test_who_may_log_in_keeps_tokens_in_the_warehouse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("THROUGHLINE_LOADER_PASSWORD", raising=False)
    assert isinstance(default_store(), MemoryTokens)
    monkeypatch.setenv("THROUGHLINE_LOADER_PASSWORD", "some-password")
    assert isinstance(default_store(), WarehouseTokens)


@pytest.mark.parametrize("role", ["transformer", "publisher", "bi"])
def test_nobody_else_reads_them(superuser: str, role: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(make_conninfo(superuser, user=role), "select * from ops.oauth_tokens")


# -- processes ---------------------------------------------------------------------------


def start(project: Path, *values: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.connectors.test_token_store", *values],
        cwd=project,
        env={**os.environ, "PYTHONPATH": "plugins:."},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_renew_at_once_make_one_renewal(
    shop: server.RunningServer, loader: str, superuser: str, project: Path
) -> None:
    url = f"{shop.base_url}/shop"
    credentials("many", url, WarehouseTokens(loader)).current()
    desk_of(shop).expire()
    shop.options.latency_seconds = 0.5
    running = [start(project, loader, url, "many", "none") for _ in range(3)]
    ends = [each.communicate(timeout=60) for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], ends
    assert {out.strip() for out, _ in ends} == {"demo-token-access-2"}
    assert desk_of(shop).issued == 2
    assert renewals(superuser, "many") == ["renewed", "renewed"]


@pytest.mark.parametrize(
    ("point", "issued"), [("before asking", 1), ("before saving", 2), ("saved", 2)]
)
def test_killed_in_the_middle(
    shop: server.RunningServer,
    loader: str,
    superuser: str,
    project: Path,
    point: str,
    issued: int,
) -> None:
    """The account goes on, or the error says exactly what was lost and what to do."""
    url, name = f"{shop.base_url}/shop", point.replace(" ", "_")
    credentials(name, url, WarehouseTokens(loader)).current()
    desk_of(shop).expire()
    process = start(project, loader, url, name, point)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, err
    assert desk_of(shop).issued == issued
    following = credentials(name, url, WarehouseTokens(loader))
    auth = following.current()
    if point == "saved":
        assert bearer(auth) == "demo-token-access-2"
        assert renewals(superuser, name) == ["renewed", " open"]
        return
    if point == "before asking":
        assert bearer(following.renewed(auth)) == "demo-token-access-2"
        assert renewals(superuser, name) == ["renewed", "cut off", "renewed"]
        return
    with pytest.raises(FatalError) as caught:
        following.renewed(auth)
    text = str(caught.value)
    assert "authorise the integration again" in text
    assert "An earlier renewal, begun at 2" in text and "was cut off" in text
    assert connections.conn_id("shop", name) in text
    again = credentials(name, url, WarehouseTokens(loader), "demo-token-by-hand")
    assert bearer(again.current()) == "demo-token-access-3"
    assert renewals(superuser, name) == ["renewed", "cut off", "failed", "renewed"]


def child(address: str, base_url: str, name: str, point: str) -> None:
    """Find the token refused and renew it, with the death at this point."""

    class Deadly(WarehouseTokens):
        def _save(self, *values: Any) -> None:
            if point == "before saving":
                os.kill(os.getpid(), signal.SIGKILL)
            super()._save(*values)
            if point == "saved":
                os.kill(os.getpid(), signal.SIGKILL)

    class DeadlyCredentials(Credentials):
        def _ask(self, *values: Any) -> Any:
            if point == "before asking":
                os.kill(os.getpid(), signal.SIGKILL)
            return super()._ask(*values)

    plain = credentials(name, base_url, Deadly(address))
    plain.__class__ = DeadlyCredentials
    refused = plain.current()
    print(bearer(plain.renewed(refused)))


if __name__ == "__main__":
    child(*sys.argv[1:])
