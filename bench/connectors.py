"""What reading costs beside landing: each connector against answers made beforehand.

Each stream of each source is read once from its own simulator, and the answers are
kept. They are then served from another process, and the connector's CPU for reading and
landing them is held to the CPU of landing the same records from memory: at most 1.25
times (that + 1 ms a request). Only this process counts: neither server does.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from rich.console import Console
from rich.table import Table

import simulator
from bench.replay import rendered
from connectors.base import registry
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import ConnectorError
from connectors.base.oauth import MemoryTokens
from connectors.base.sources import load_sources
from connectors.base.stream import Window
from demo.postgres import Cluster, free_port
from pipeline.setup import LOGIN_ROLES, setup
from simulator import server
from simulator.face import DEMO_TOKEN, Face, Options, Request, Response
from simulator.world import build_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.base.connector import Connector
    from connectors.base.sources import Account
    from connectors.base.stream import Stream

ROOT = Path(__file__).resolve().parents[1]
END = date(2026, 6, 1)
GOAL = 1.25
A_REQUEST = 0.001  # CPU seconds that a request may cost


def main(arguments: list[str]) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench connectors", description=__doc__
    )
    parser.add_argument("--size", type=float, default=2.0, help="of the company")
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sources", default=",".join(sources()))
    parser.add_argument(
        "--warehouse",
        help="address of an empty database's superuser (default: a server of its own)",
    )
    chosen = parser.parse_args(arguments)
    os.environ["THROUGHLINE_DEMO"] = "1"
    os.environ.setdefault("THROUGHLINE_TOKEN_KEY", "1:" + secrets.token_hex(32))
    console = Console(width=130)
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    names = chosen.sources.split(",")
    try:
        record(home, names, chosen.size, chosen.days, console)
        with warehouse(home, chosen.warehouse) as address, replayed(home) as base_url:
            found = [
                row
                for name in names
                for row in measured(home, name, base_url, address, chosen.repeat)
            ]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    totals = [total(name, found) for name in names]
    console.print(report(found, totals))
    for what, rows in (("connectors", totals), ("streams", found)):
        reached = sum(ratio(row) <= GOAL for row in rows)
        console.print(
            f"{reached} of {len(rows)} {what} reach {GOAL} × (landing + "
            f"{A_REQUEST * 1000:.0f} ms a request)",
            highlight=False,
        )
    kept = ROOT / ".local" / "bench" / "connectors.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found, indent=1))


# -- what is read ----------------------------------------------------------------------


@cache
def accounts() -> dict[str, Account]:
    """One account per source, as the simulated company has it."""
    found = load_sources(Path(simulator.__file__).with_name("sources.yml")).sources
    return {each.source: each for each in reversed(found)}


def account_of(source: str) -> Account:
    """The simulated company's account of a source."""
    return accounts()[source]


def sources() -> list[str]:
    """The sources there is a connector and an account for."""
    return [name for name in registry.names() if name in accounts()]


def streams(source: str) -> tuple[Stream, ...]:
    """All streams of the source's account."""
    return registry.connector_class(source).streams_of(account_of(source))


def window_of(source: str, stream: Stream, first: date, end: date) -> Window | None:
    """The company's days, as far as the vendor keeps them."""
    if stream.kind != "window":
        return None
    oldest = end - timedelta(days=stream.history_days)
    return Window(max(first, oldest), end, account_of(source).time_zone)


def connector(source: str, base_url: str) -> Connector:
    """The real connector with the real client, without the vendor's rate limit."""
    cls = registry.connector_class(source)
    account = account_of(source)
    names = {*cls.connection_help, *cls.Secrets}
    asked = {n.removeprefix("extra.") for n in names if n.startswith("extra.")}
    return registry.build(
        account,
        ConnectionInfo(
            conn_id=account.conn_id,
            base_url=base_url,
            login="1",
            password=DEMO_TOKEN,
            extra={name: f"{DEMO_TOKEN}-{name}" for name in asked},
        ),
        tokens=MemoryTokens(),
        limits=replace(cls.limits_of(account), requests_per_second=None),
        sleep=lambda seconds: None,
    )


# -- the answers -----------------------------------------------------------------------


class Recorder(Face):
    """A face whose answers are kept: (method and path, answer), oldest first."""

    def __init__(self, inner: Face) -> None:
        super().__init__(inner.world, inner.options)
        self.inner = inner
        self.kept: list[tuple[str, Response]] = []

    def handle(self, request: Request) -> Response:
        """The inner face's answer."""
        response = self.inner.handle(request)
        self.kept.append((f"{request.method} {request.path}", response))
        return response


def record(
    home: Path, names: list[str], size: float, days: int, console: Console
) -> None:
    """Read every stream once and write the answers to files."""
    world = build_world(seed=1, end_date=END, days=days, size=size)

    def recorder(source: str) -> Any:
        made = import_module(f"connectors.{source}.simulator").Simulator
        return lambda world, options: Recorder(made(world, options))

    known: dict[str, Any] = {
        "days": (world.start_date.isoformat(), END.isoformat()),
        "requests": {},
    }
    faces = {name: recorder(name) for name in names}
    with server.start(world, options=Options(world.now), faces=faces) as running:
        for name in names:
            base_url = f"{running.base_url}/{name}"
            for stream in streams(name):
                case = f"{name}.{stream.name}"
                face = fresh_face(running, name)
                window = window_of(name, stream, world.start_date, END)
                try:
                    for _ in connector(name, base_url).pages(stream, window, None):
                        pass
                except ConnectorError as error:
                    console.print(f"{case} is left out: {error}", highlight=False)
                    continue
                write(home / case, face)
                known["requests"][case] = len(face.kept)
    (home / "recorded.json").write_text(json.dumps(known))


def fresh_face(running: server.RunningServer, source: str) -> Recorder:
    """The source's face with nothing kept and nothing prepared by an earlier read."""
    company: Any = running.backend
    with company._lock:
        company._faces.pop(source, None)
    face = company.face(source)
    assert isinstance(face, Recorder)
    return face


def write(folder: Path, face: Recorder) -> None:
    """The answers as whole responses."""
    folder.mkdir()
    for number, (_, response) in enumerate(face.kept):
        answer = rendered(response.status, response.headers, response.body)
        (folder / str(number)).write_bytes(answer)
    (folder / "requests.json").write_text(json.dumps([asked for asked, _ in face.kept]))


# -- measuring -------------------------------------------------------------------------


@contextmanager
def warehouse(home: Path, given: str | None) -> Iterator[str]:
    """A loader's address of a prepared warehouse."""
    cluster: Cluster | None = None
    if given is None:
        cluster = Cluster(home / "postgres", free_port(), secrets.token_hex(8))
        cluster.start(fsync="off", shared_buffers="256MB", max_wal_size="4GB")
        given = cluster.dsn("warehouse")
    try:
        password = str(conninfo_to_dict(given)["password"])
        setup(given, dict.fromkeys(LOGIN_ROLES, password))
        yield make_conninfo(given, user="loader")
    finally:
        if cluster is not None:
            cluster.destroy()


@contextmanager
def replayed(home: Path) -> Iterator[str]:
    """The answers over HTTP, from another process."""
    command = [sys.executable, "-m", "bench.replay", str(home)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def environment() -> dict[str, str]:
    """That of this process, able to import what it runs."""
    return {**os.environ, "PYTHONPATH": "plugins:."}


def measured(
    home: Path, source: str, base_url: str, address: str, repeat: int
) -> list[dict[str, Any]]:
    """The figures of a source's streams, from a process of its own."""
    done = subprocess.run(
        [
            sys.executable, "-m", "bench.one_read",
            str(home), source, base_url, address, str(repeat),
        ],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"bench.one_read {source} failed:\n{done.stderr[-3000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def ratio(row: dict[str, Any]) -> float:
    """CPU of reading and landing over (landing + what requests may cost)."""
    return float(row["whole"] / (row["alone"] + A_REQUEST * row["requests"]))


def total(source: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The sums of a connector's streams, as a row of its own."""
    rows = [row for row in found if row["source"] == source]
    sums = {
        name: sum(row[name] for row in rows)
        for name in ("rows", "requests", "alone", "whole")
    }
    return {"source": source, "stream": "all its streams", **sums}


def report(found: list[dict[str, Any]], totals: list[dict[str, Any]]) -> Table:
    """A line for each stream, and one for each connector below its streams."""
    table = Table(title="Connectors: CPU of reading and landing, medians")
    for column in (
        "source", "stream", "records", "requests", "landing ms", "read + landing ms",
        "ratio", f"≤ {GOAL}",
    ):  # fmt: skip
        left = column in ("source", "stream")
        table.add_column(column, justify="left" if left else "right")
    for whole in totals:
        own = [row for row in found if row["source"] == whole["source"]]
        for row in (*own, whole):
            table.add_row(
                row["source"],
                row["stream"],
                f"{row['rows']:,}",
                f"{row['requests']:,}",
                f"{row['alone'] * 1000:.1f}",
                f"{row['whole'] * 1000:.1f}",
                f"{ratio(row):.2f}",
                "reached" if ratio(row) <= GOAL else "MISSED",
                style="bold" if row is whole else None,
                end_section=row is whole,
            )
    return table
