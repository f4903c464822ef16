"""`python -m connectors.files …`: for people who fill in files, before they drop them."""

from __future__ import annotations

import csv
import os
import secrets
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from connectors.base.manual import Ids
from connectors.files import tables, templates
from connectors.files.columns import PLANS
from connectors.files.guards import Unreadable

if TYPE_CHECKING:
    from connectors.base.manual import Reading

app = typer.Typer(
    help="Files that people drop, of any kind: templates, and a check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Kind = Enum("Kind", {name: name for name in PLANS}, type=str)  # type: ignore[misc]
# what a spreadsheet would take for a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@app.command()
def template(
    stream: Kind,
    xlsx: Annotated[bool, typer.Option("--xlsx/--csv", help="which kind")] = True,
    out: Annotated[Path | None, typer.Option(help="where to; default: here")] = None,
) -> None:
    """Write an empty table to fill in."""
    name = str(stream.value)
    suffix = "xlsx" if xlsx else "csv"
    body = templates.as_xlsx(name) if xlsx else templates.as_csv(name)
    path = out or Path(f"{name}.{suffix}")
    path.write_bytes(body)
    typer.echo(f"{path}: fill it in, check it, and drop it into the folder {name}/")


@app.command()
def validate(
    file: Path,
    stream: Annotated[Kind, typer.Option(help="what the file holds")],
    report: Annotated[
        Path | None, typer.Option(help="write the refused rows to this CSV, too")
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="of dates and times")
    ] = "Europe/Moscow",
    most_rows: Annotated[int, typer.Option(help="as in settings")] = 200_000,
) -> None:
    """List every row that would be refused, with line, column and reason.

    Exit code 0: all rows are good; 1: some are refused; 2: the whole file is.
    """
    # ids of rows are not printed, so any key will do
    os.environ.setdefault("THROUGHLINE_TOKEN_KEY", f"9:{secrets.token_hex(32)}")
    plan = PLANS[str(stream.value)]
    try:
        read = tables.read(
            file.name,
            file.read_bytes(),
            plan,
            zone=ZoneInfo(time_zone),
            ids=Ids(),
            most_rows=most_rows,
        )
    except OSError as error:
        typer.echo(f"error: cannot read {file}: {error.strerror}", err=True)
        raise typer.Exit(2) from None
    except Unreadable as error:
        typer.echo(f"{file.name} {error}")
        raise typer.Exit(2) from None
    for each in read.wrong:
        typer.echo(f"{each}: {each.value!r}" if each.value else str(each))
    for refused in read.refused:
        if refused.record_key is None:
            typer.echo(refused.reason)
    typer.echo(_summary(file.name, read))
    if report is not None:
        _write(report, read)
    if read.refused:
        raise typer.Exit(1)


def _summary(name: str, read: Reading) -> str:
    amounts = [Decimal(r["amount"] or 0) for r in read.records if "amount" in r]
    good = f"{len(read.records)} rows are good"
    if amounts:
        good += f" (amounts: {sum(amounts, Decimal(0)):.2f})"
    text = f"{name}: {good}, {len(read.refused)} refused"
    if read.totals:
        text += f", {read.totals} lines of totals left out"
    if read.unknown:
        text += f"; columns nobody reads: {', '.join(sorted(read.unknown))}"
    return text


def _write(path: Path, read: Reading) -> None:
    """The refused rows as CSV; a value that looks like a formula gets a quote."""
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerow(("line", "column", "reason", "value"))
        for each in read.wrong:
            value = f"'{each.value}" if each.value.startswith(_FORMULA) else each.value
            writer.writerow((each.line, each.column, each.reason, value))


if __name__ == "__main__":
    app()
