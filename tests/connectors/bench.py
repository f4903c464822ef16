"""A bench for any connector: its own simulator over real HTTP, and a hand in between."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

import simulator
from connectors.base import landing, registry
from connectors.base.batch import JsonBatch
from connectors.base.connection import ConnectionInfo
from connectors.base.oauth import MemoryTokens
from connectors.base.sources import Account, load_sources
from connectors.base.stream import Stream, Window
from simulator import server
from simulator.face import Face, Options, Request, Response
from simulator.world import World, build_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import psycopg

    from connectors.base.batch import Batch
    from connectors.base.connector import Connector
    from connectors.base.oauth import TokenStore

    Ask = Callable[[Request], Response]
    Change = Callable[[Request, Ask], Response]
    OnBench = Callable[..., "Bench"]

Record = dict[str, Any]

CANARY = "canary-9f3aZk71-secret"
END = date(2026, 6, 1)


@cache
def group(end: date = END) -> World:
    """The firms of all contract tests: two weeks and merged contacts, deleted deals

    and leads, a refund, a deal of two contacts (not every small company has them).
    `end` is the first day without data.
    """
    return build_world(seed=25, end_date=end, size="small")


def small_world() -> World:
    """The firms in May."""
    return group()


@cache
def accounts() -> dict[str, Account]:
    """One account per source, as the simulated company has it."""
    found = load_sources(Path(simulator.__file__).with_name("sources.yml")).sources
    return {each.source: each for each in reversed(found)}


@dataclass(frozen=True)
class Case:
    """One stream of one source; `str` of it is the test's id."""

    source: str
    stream: Stream

    def __str__(self) -> str:
        return f"{self.source}-{self.stream.name}"


def cases(*kinds: str) -> list[Case]:
    """Every registered stream, or those of these kinds."""
    return [
        Case(name, stream)
        for name in sources()
        for stream in registry.connector_class(name).streams_of(accounts()[name])
        if not kinds or stream.kind in kinds
    ]


def one_per_source() -> list[Case]:
    """The first stream of each source, for what does not depend on the stream."""
    return [next(c for c in cases() if c.source == name) for name in sources()]


def sources() -> list[str]:
    """The registered sources that have an account in the simulated company.

    One that has none fails a test of its own, not the collection of all.
    """
    return [name for name in registry.names() if name in accounts()]


def extras(source: str) -> dict[str, Any]:
    """The extra fields a source's connection asks for: `extra.x` is `CANARY-x`."""
    cls = registry.connector_class(source)
    names = {*cls.connection_help, *cls.Secrets}
    asked = {n.removeprefix("extra.") for n in names if n.startswith("extra.")}
    return {name: f"{CANARY}-{name}" for name in asked}


class LastingTokens(MemoryTokens):
    """Memory that passes for the warehouse."""

    is_lasting = True


class Tampered(Face):
    """A face with a hand in between, which may answer instead of it.

    `answers` keeps all that was sent, oldest first.
    """

    def __init__(self, inner: Face) -> None:
        super().__init__(inner.world, inner.options)
        self.inner = inner
        self.answers: list[Response] = []
        self._strikes: dict[int, Change] = {}
        self._from: tuple[int, Change] | None = None
        self._always: Change | None = None
        self._lock = threading.Lock()

    def strike(self, at: int, change: Change) -> None:
        """Let `change` answer the `at`-th request from now on (0: the next one)."""
        self._strikes = {len(self.answers) + at: change}

    def strike_from(self, at: int, change: Change) -> None:
        """Let `change` answer the `at`-th request from now on, and all after it."""
        self._from = (len(self.answers) + at, change)

    def strike_all(self, change: Change | None) -> None:
        """Let `change` answer every request; None ends it."""
        self._always = change

    def handle(self, request: Request) -> Response:
        with self._lock:
            at = len(self.answers)
            change = self._strikes.get(at) or self._always
            if self._from is not None and at >= self._from[0]:
                change = self._from[1]
            if change is None:
                response = self.inner.handle(request)
            else:
                response = change(request, self.inner.handle)
            self.answers.append(response)
            return response

    def unauthorized(self, request: Request) -> Response:
        return self.inner.unauthorized(request)

    def ran_out(self, request: Request) -> Response:
        return self.inner.ran_out(request)


@dataclass
class Bench:
    """A connector and the simulator it reads; waits are noted, not waited."""

    source: str
    account: Account
    server: server.RunningServer
    group: World = field(default_factory=small_world)  # all firms
    slept: list[float] = field(default_factory=list)
    tokens: TokenStore = field(default_factory=LastingTokens)

    @property
    def face(self) -> Tampered:
        """The hand between the connector and the vendor's face."""
        face = self.server.backend.face(self.source)  # type: ignore[attr-defined]
        assert isinstance(face, Tampered)
        return face

    @property
    def world(self) -> World:
        """The firm of the group that this source serves."""
        return self.group.branch(self.face.inner.branch)

    def renew(
        self, *, now: datetime | None = None, group: World | None = None, **options: Any
    ) -> Bench:
        """As if just made, with these options, on the same port."""
        self.group = group or small_world()
        fresh = Options(
            now=now or self.group.now, tokens={self.source: CANARY}, **options
        )
        vars(self.server.options).update(vars(fresh))
        self.server.clear_faults()
        self.server.requests.clear()
        backend: Any = self.server.backend
        backend._world, backend._faces = self.group, {}
        self.account = accounts()[self.source]
        self.slept = []
        self.tokens = LastingTokens()
        return self

    def connection(self, **changed: Any) -> ConnectionInfo:
        """A connection to the simulator with every field the connector asks for."""
        given: dict[str, Any] = {
            "login": "1",
            "password": CANARY,
            "extra": extras(self.source),
        }
        given["extra"] |= changed.pop("extra", {})
        given.update(changed)
        return ConnectionInfo(
            conn_id=self.account.conn_id,
            base_url=f"{self.server.base_url}/{self.source}",
            **given,
        )

    def connector(self, account: Account | None = None, **connection: Any) -> Connector:
        """A connector with empty hands: nothing read, no request made."""
        return registry.build(
            account or self.account,
            self.connection(**connection),
            tokens=self.tokens,
            sleep=self.slept.append,
        )

    def window(self, days: int = 5, end: date | None = None) -> Window:
        """The last whole days of the world, in the account's zone."""
        last = end or END
        return Window(last - timedelta(days=days), last, self.account.time_zone)

    def whole(self) -> Window:
        """All days of the world: long enough to be queued."""
        return Window(self.world.start_date, END, self.account.time_zone)

    def batches(
        self,
        stream: Stream,
        window: Window | None = None,
        cursor: str | None = None,
        connector: Connector | None = None,
    ) -> Iterator[Batch]:
        """What the connector yields; window streams default to the last 5 days."""
        if stream.kind == "window" and window is None:
            window = self.window()
        return (connector or self.connector()).pages(stream, window, cursor)

    def read(self, stream: Stream, window: Window | None = None, **given: Any) -> Rows:
        """All records of a read."""
        return records_of(self.batches(stream, window, **given))

    @property
    def requests(self) -> int:
        """How many requests came so far."""
        return len(self.server.requests)


Rows = list[Record]


def records_of(batches: Iterable[Batch]) -> Rows:
    """Batches of either shape as records."""
    found: Rows = []
    for batch in batches:
        found += batch.records if isinstance(batch, JsonBatch) else batch.records()
    return found


def keyed(stream: Stream, rows: Iterable[Record]) -> dict[str, Record]:
    """Records by key; AssertionError when a key comes twice."""
    found = {stream.record_key(row): row for row in rows}
    assert len(found) == len(rows), f"{stream.name}: keys are not unique"
    return found


@dataclass
class Warehouse:
    """A prepared warehouse: the loader's connection, and a superuser's to look with."""

    loader: psycopg.Connection[Any]
    root: psycopg.Connection[Any]
    name: str
    _accounts: int = 0

    def account(self, bench: Bench) -> Account:
        """The bench's account under a name nobody else lands under."""
        self._accounts += 1
        name = f"{self.name}_{self._accounts}"
        return bench.account.model_copy(update={"account": name})

    def land(
        self,
        bench: Bench,
        stream: Stream,
        account: Account,
        window: Window | None = None,
    ) -> landing.LoadResult:
        """Land a stream as `extract` does: entities from their last good cursor."""
        if stream.kind == "window" and window is None:
            window = bench.window()
        cursor = self.cursor(stream, account) if stream.kind == "entity" else None
        connector = bench.connector(account)
        started_at = datetime.now(UTC)
        return landing.land(
            self.loader,
            account=account,
            source=account.source,
            stream=stream,
            window=window,
            batches=connector.pages(stream, window, cursor),
            control_total=(
                (lambda: connector.control_total(stream, window)) if window else None
            ),
            cursor=lambda: connector.next_cursor(stream, cursor, started_at),
        )

    def sweep(
        self, bench: Bench, stream: Stream, account: Account
    ) -> landing.LoadResult:
        """Sweep an entity stream once."""
        keys = bench.connector(account).keys(stream)
        return landing.sweep(
            self.loader,
            account=account,
            source=account.source,
            stream=stream,
            keys=keys,
        )

    def again(
        self, bench: Bench, stream: Stream, account: Account, keys: list[str]
    ) -> landing.LoadResult:
        """Land these records once more; the cursor stays where it is."""
        return landing.land(
            self.loader,
            account=account,
            source=account.source,
            stream=stream,
            window=None,
            batches=bench.connector(account).read_again(stream, keys),
            cursor=self.cursor(stream, account),
        )

    def cursor(self, stream: Stream, account: Account) -> str | None:
        """Where the last good read of an entity stream ended."""
        row = self.root.execute(
            "select cursor from ops.loads where (source, stream, account_id) ="
            " (%s, %s, %s) and kind = 'entity' and state <> 'failed'"
            " order by load_id desc limit 1",
            (account.source, stream.name, account.account),
        ).fetchone()
        return row[0] if row else None

    def live(self, stream: Stream, account: Account) -> dict[str, tuple[Any, Record]]:
        """Live rows of raw: key -> (day, record with its numbers as they are)."""
        table = landing.raw_table(account.source, stream.name)
        found = self.root.execute(
            sql.SQL(
                "select record_key, record_date, record::text from {} where"
                " account_id = %s and deleted_load_id is null order by record_key"
            ).format(table),
            (account.account,),
        )
        return {key: (day, json.loads(text)) for key, day, text in found}

    def loads(self, account: Account, state: str) -> list[tuple[Any, ...]]:
        """Rows of the ledger: (load_id, rows_read, rows_new, error)."""
        return self.root.execute(
            "select load_id, rows_read, rows_new, error from ops.loads where"
            " account_id = %s and state = %s order by load_id",
            (account.account, state),
        ).fetchall()

    def everything(self, *schemas: str) -> str:
        """All rows of all tables of these schemas as one text."""
        tables = self.root.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema = any(%s) and table_type = 'BASE TABLE'",
            (list(schemas),),
        ).fetchall()
        found = []
        for table in tables:
            statement = sql.SQL("select t::text from {} as t").format(
                sql.Identifier(*table)
            )
            found += [row[0] for row in self.root.execute(statement)]
        return "\n".join(found)


_idle: dict[str, list[Bench]] = {}


def take(source: str, **options: Any) -> Bench:
    """A running simulator of one source with the canary as its token, all new."""
    idle = _idle.setdefault(source, [])
    made = idle.pop() if idle else _start(source)
    return made.renew(**options)


def give_back(bench: Bench) -> None:
    """Let the next test have it, if it still runs."""
    if bench.server.is_running:
        _idle[bench.source].append(bench)


def _start(source: str) -> Bench:
    def face(world: World, options: Options) -> Face:
        return Tampered(simulator_of(source).Simulator(world, options))

    world = small_world()
    running = server.start(world, options=Options(world.now), faces={source: face})
    return Bench(source, accounts()[source], running)


def simulator_of(source: str) -> Any:
    """The module of a source's simulator."""
    return import_module(f"connectors.{source}.simulator")


@cache
def truth(case: Case) -> Truth:
    """What a quiet read of a stream gives (the last five days), made only once."""
    bench = take(case.source)
    rows = bench.read(case.stream)
    found = Truth(tuple(rows), bench.requests)
    give_back(bench)
    return found


@dataclass(frozen=True)
class Truth:
    """The rows of a quiet read, and how many requests it took."""

    rows: tuple[Record, ...]
    requests: int


def few(count: int, most: int) -> list[int]:
    """At most so many of the numbers below `count`, the first and last ones in."""
    if count <= most:
        return list(range(count))
    middle = [round(i * (count - 1) / (most - 1)) for i in range(most)]
    return sorted(set(middle))
