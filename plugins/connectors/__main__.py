"""`python -m connectors …`: try a connector without Airflow and without a warehouse."""

from __future__ import annotations

import dataclasses
import gzip
import logging
import os
import secrets
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from connectors.base import redaction, registry, settings
from connectors.base.client import ApiClient
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import ConfigError, ConnectorError
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser
from connectors.base.sources import load_sources

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
    stream: str,
    files: Annotated[
        list[Path], typer.Argument(help="response bodies; .gz is unpacked")
    ],
    account: AccountOption = None,
) -> None:
    """Print what recorded response bodies would land as, one JSON line per record.

    The same code reads them as reads live ones. Records that would become dead
    letters go to stderr with the reason; then the exit code is 1.
    """
    configured = load_sources().get(source, account)
    cls = registry.connector_class(source)
    declared = cls.stream(stream, configured)
    bodies = [(file, _read(file)) for file in files]
    _need_token_key()
    connector = _offline(configured)
    door = Pseudonymiser(
        declared, Tokeniser(*settings.token_key(), configured.phone_region)
    )
    sealed: set[str] = set()
    is_good = True
    for file, body in bodies:
        try:
            records = connector.parse(declared, body, {})
        except ConnectorError as error:
            typer.echo(f"error: {file}: {error}", err=True)
            is_good = False
            continue
        for number, record in enumerate(records, 1):
            try:
                line = _landed(declared, configured, door, record, sealed)
            except (KeyError, ValueError) as error:
                reason = f"{file}: record {number}: dead letter: {_reason(error)}"
                typer.echo(redaction.mask(reason), err=True)
                is_good = False
            else:
                sys.stdout.buffer.write(line)
    sys.stdout.flush()
    for name in sorted(sealed):
        why = (
            "not declared"
            if name in door.undeclared
            else "a contact that could not be read"
        )
        typer.echo(f"note: field {name} goes to pii.sealed: {why}", err=True)
    if not is_good:
        raise typer.Exit(1)


def _landed(
    stream: Stream,
    account: Account,
    door: Pseudonymiser,
    record: Record,
    sealed: set[str],
) -> bytes:
    """One line of JSON: what raw would hold of a record, contacts taken out."""
    key = stream.record_key(record)
    day = stream.record_date(record, account.time_zone)
    for name in stream.required_fields:
        if name not in record:
            raise KeyError(name)
    clean, hidden = door.record(record)
    sealed.update(name for name, _ in hidden)
    return orjson.dumps(
        {"record_key": key, "record_date": day, "record": clean},
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"field {error.args[0]} is missing"
    # the text of a ValueError may quote the value, and that may be a person's
    return redaction.excerpt(str(error).encode())


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


def _offline(account: Account) -> Connector:
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
