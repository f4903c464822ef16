"""`python -m connectors …`: try a connector without Airflow and without a warehouse."""

from __future__ import annotations

import dataclasses
import gzip
import logging
import os
import secrets
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import orjson
import typer

from connectors.base import redaction, registry, settings
from connectors.base.batch import JsonBatch, unescape
from connectors.base.client import ApiClient
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import AccessError, ConfigError, ConnectorError
from connectors.base.lanes import Shaper
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser
from connectors.base.recognise import recognise
from connectors.base.recording import FAKES, Fakes, Recording, recorder
from connectors.base.sources import load_sources
from connectors.base.stream import Window

if TYPE_CHECKING:
    from connectors.base.batch import Record
    from connectors.base.connector import Connector
    from connectors.base.sources import Account
    from connectors.base.stream import Stream

app = typer.Typer(
    help="Try a connector: is its connection good, what would its answers become?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ANY = "any"
AccountOption = Annotated[
    str | None, typer.Option(help="account in sources.yml, when a source has several")
]


@app.command("list")
def list_sources() -> None:
    """Name every source with its streams, and the accounts set up for it."""
    accounts = load_sources().sources
    for name in registry.names():
        here = [each.account for each in accounts if each.source == name]
        typer.echo(f"{name} (accounts: {', '.join(here) or 'none'})")
        for stream in registry.connector_class(name).streams:
            again = f", re-reads {stream.restate_days} days" * bool(stream.restate_days)
            typer.echo(f"  {stream.name}: {stream.kind}{again}")


@app.command()
def check(source: str, account: AccountOption = None) -> None:
    """Tell whether a connection works and, if not, what to do."""
    configured = load_sources().get(source, account)
    limits = registry.connector_class(source).limits_of(configured)
    impatient = dataclasses.replace(limits, attempts=2, connect_timeout=5)
    connector = registry.build(configured, limits=impatient)
    for line in connector.check():
        typer.echo(line)
    typer.echo(f"{configured}: the connection works")


@app.command()
def replay(
    source: str,
    stream: Annotated[str, typer.Argument(help=f"a stream, or `{ANY}`: what fits")],
    files: Annotated[
        list[Path], typer.Argument(help="response bodies; .gz is unpacked")
    ],
    account: AccountOption = None,
    columns: Annotated[
        str, typer.Option(help="of a table that came without them: A,B,C")
    ] = "",
) -> None:
    """Print what recorded response bodies would land as, one JSON line per record.

    The same code reads them as reads live ones. What holds no records (an error, a state,
    an event, a token, an answer to another query) is named on stderr. Records that would
    become dead letters go there with the reason; then, and for what nobody knows or the
    named stream does not ask for, the exit code is 1.
    """
    configured = load_sources().get(source, account)
    cls = registry.connector_class(source)
    declared = None if stream == ANY else cls.stream(stream, configured)
    header = columns.replace(",", "\t").encode() + b"\n" if columns else b""
    bodies = [(file, header + _read(file)) for file in files]
    _need_token_key()
    connector = offline(configured)
    shapers: dict[str, Shaper] = {}
    is_good = True
    for file, body in bodies:
        where = f"{file}"
        try:
            found = recognise(connector, body, declared)
            if found.stream is None or declared is None:
                typer.echo(f"{where}: {found.text}", err=True)
            if found.stream is None:
                continue
            name = found.stream.name
            if name not in shapers:
                shapers[name] = _shaper(found.stream, configured)
            shaper = shapers[name]
            for number, record in enumerate(found.records, 1):
                where = f"{file}: record {number}"
                sys.stdout.buffer.write(_landed(shaper, record, name))
                for dead in shaper.dead:
                    reason = redaction.excerpt(dead.reason.encode())
                    typer.echo(f"{where}: dead letter: {reason}", err=True)
                    is_good = False
                shaper.dead.clear()
        except ConnectorError as error:
            typer.echo(f"error: {where}: {error}", err=True)
            is_good = False
    sys.stdout.flush()
    undeclared = {name for shaper in shapers.values() for name in shaper.undeclared}
    sealed = {name for shaper in shapers.values() for _, name, _ in shaper.sealed}
    for name in sorted(sealed):
        is_declared = name not in undeclared
        why = "a contact that cannot be read" if is_declared else "not declared"
        typer.echo(f"note: field {name} goes to pii.sealed: {why}", err=True)
    if not is_good:
        raise typer.Exit(1)


@app.command()
def record(
    source: str,
    stream: Annotated[str, typer.Argument(help="default: all of them")] = ANY,
    folder: Annotated[Path, typer.Option(help="where the answers go")] = Path(
        "recorded"
    ),
    days: Annotated[int, typer.Option(min=1, help="so many days up to yesterday")] = 2,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="last day, exclusive")
    ] = None,
    account: AccountOption = None,
    most_mb: Annotated[int, typer.Option(min=1, help="stop over this much")] = 50,
) -> None:
    """Save a real account's answers without the people in them, and their index.

    Phones, e-mails, names and free text become fakes, the same for the same person in
    all sources of the folder. `replay` reads the files; `python -m simulator serve
    --recorded FOLDER --index FOLDER/index.yml` answers from them. `most_mb` is for each
    stream; one that cannot be kept does not hold up the others, and the exit code is 1.
    """
    configured = load_sources().get(source, account)
    cls = registry.connector_class(source)
    if not cls.needs_connection(configured):
        raise ConfigError(f"{configured} reads files: there is nothing to record")
    streams = cls.streams_of(configured)
    if stream != ANY:
        streams = (cls.stream(stream, configured),)
    _need_token_key()
    connector = registry.build(configured)
    zone = ZoneInfo(configured.time_zone)
    end = until.date() if until else datetime.now(zone).date()
    window = Window(end - timedelta(days=days), end, configured.time_zone)
    is_good = True
    for each in streams:
        try:
            _record(connector, each, window, folder, most_mb << 20)
        except AccessError:
            raise  # the other streams would fare no better
        except ConnectorError as error:
            typer.echo(f"error: {each.name}: {error}", err=True)
            is_good = False
    if not is_good:
        raise typer.Exit(1)


def _record(
    connector: Connector, stream: Stream, window: Window, folder: Path, most: int
) -> None:
    """Keep one stream's answers. Raises ConnectorError, and then keeps nothing."""
    known = folder / FAKES
    fakes = Fakes(
        settings.token_key()[1],
        orjson.loads(known.read_bytes()) if known.exists() else {},
    )
    recording = Recording(connector, stream, fakes)
    connector.client.observer = recorder(recording.kept, most)
    rows = 0
    days = window if stream.kind == "window" else None
    try:
        for batch in connector.pages(stream, days, None):
            records = batch.records if isinstance(batch, JsonBatch) else batch.records()
            rows += sum(1 for _ in records)
    finally:
        connector.client.observer = None
    for file in recording.save(folder):
        typer.echo(str(file))
    kept = len(recording.kept)
    typer.echo(f"{connector.account} {stream.name}: {rows} records in {kept} answers")


def _shaper(stream: Stream, account: Account) -> Shaper:
    tokeniser = Tokeniser(*settings.token_key(), account.phone_region)
    hidden = Pseudonymiser(stream, tokeniser)
    return Shaper(stream, hidden, account.time_zone, window=None)


def _landed(shaper: Shaper, record: Record, stream: str) -> bytes:
    """What raw would hold of a record, as a line of JSON; empty for a dead letter.

    Landing itself shapes it; its line for COPY is only written another way here.
    """
    lines = b""
    for piece in shaper.pieces(JsonBatch([record])):
        for line in piece.lines:
            key, day, _, text = line.split(b"\t", 3)
            shown = {
                "stream": stream,
                "record_key": unescape(key.decode()),
                "record_date": None if day == b"\\N" else day.decode(),
                "record": orjson.Fragment(text.replace(b"\\\\", b"\\")),
            }
            lines += orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE)
    return lines


def _read(file: Path) -> bytes:
    try:
        body = file.read_bytes()
        return gzip.decompress(body) if file.suffix == ".gz" else body
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read {file}: {why}") from None


def _need_token_key() -> None:
    if not os.environ.get("THROUGHLINE_TOKEN_KEY"):
        os.environ["THROUGHLINE_TOKEN_KEY"] = f"9:{secrets.token_hex(32)}"
        typer.echo(
            "note: THROUGHLINE_TOKEN_KEY is not set; tokens are made with a key that is "
            "thrown away, so they differ from run to run",
            err=True,
        )


def offline(account: Account) -> Connector:
    """The account's connector with nobody to talk to: parsing needs no connection."""
    cls = registry.connector_class(account.source)
    nowhere = ConnectionInfo(account.conn_id)
    return cls(account, nowhere, ApiClient("http://127.0.0.1:9", name=str(account)))


def main() -> None:
    """Run the command line; a known trouble is one line and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    redaction.install()
    try:
        app()
    except ConnectorError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
