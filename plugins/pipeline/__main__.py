"""`python -m pipeline …`: every step of the line without Airflow."""

from __future__ import annotations

import getpass
import json
import logging
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import psycopg
import typer

from connectors.base.errors import ConnectorError
from connectors.base.redaction import mask
from pipeline import runs
from pipeline.errors import PipelineError

app = typer.Typer(
    help="Every step of the line from the vendors' APIs to the marts, without Airflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Run = Annotated[
    str, typer.Option("--run", help="id of the run, as in ops.runs and in Airflow")
]


class StationName(StrEnum):
    """The stations of dbt."""

    build_identifiers = "build_identifiers"
    build_touchpoints = "build_touchpoints"
    build_credits = "build_credits"
    build_marts = "build_marts"


class Kind(StrEnum):
    """What a token stands for."""

    phone = "phone"
    email = "email"
    name = "name"


@app.command("setup")
def setup_command(
    superuser_dsn: Annotated[
        str,
        typer.Option(
            envvar="THROUGHLINE_SUPERUSER_DSN",
            show_envvar=True,
            help="libpq address of a superuser; dbname = the warehouse",
        ),
    ],
) -> None:
    """Create roles, schemas and tables; safe to run again."""
    from pipeline import setup

    for line in setup.setup(superuser_dsn, setup.passwords()):
        typer.echo(line)


@app.command()
def extract(
    account: Annotated[str, typer.Argument(help="source/account, as in sources.yml")],
    date_from: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    date_to: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="exclusive")
    ],
    run: Run,
) -> None:
    """Land all streams of one account for [FROM, TO)."""
    from pipeline.extract import extract_account

    _plan(run, date_from, date_to)
    extract_account(account, runs.days_of(run), run)


@app.command("check-raw")
def check_raw(run: Run) -> None:
    """Judge what a run landed; exit code 1 when a critical check fails."""
    runs.run_step("check_raw", run)


@app.command()
def build(
    station: Annotated[
        StationName, typer.Argument(help="which part of the dbt project")
    ],
    run: Run,
    full_refresh: Annotated[
        bool, typer.Option(help="read all of raw, not only what is new")
    ] = False,
) -> None:
    """Run one station of dbt and prove that all of it ran."""
    from pipeline import dbt_station

    dbt_station.build_station(station.value, run, full_refresh=full_refresh)


@app.command()
def identify() -> None:
    """Find out who is who: the components of the joining edges."""
    from pipeline.identify import identify as step

    step()


@app.command("fit-models")
def fit_models(
    run: Run,
    restate: Annotated[
        list[str] | None,
        typer.Option(help="a closed month to fit again, as 2026-05; may be repeated"),
    ] = None,
) -> None:
    """Fit the Markov chains of new and open months; closed ones keep their weights."""
    from pipeline.attribution import fit

    fit.fit_models(run, fit.parse_months(restate or []))


@app.command("estimate-intervals")
def estimate_intervals(run: Run) -> None:
    """How far each channel's figures could have come out otherwise (bootstrap)."""
    runs.run_step("estimate_intervals", run)


@app.command()
def why(
    person: Annotated[
        str, typer.Argument(help="a person_id, or any identifier: kind:identifier")
    ],
    start: Annotated[
        str | None, typer.Option("--from", help="identifier to begin at")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="identifier to come to")
    ] = None,
) -> None:
    """What makes a person one person: the shortest chain of evidence."""
    from pipeline.why import why as step

    typer.echo(step(person, start, end))


@app.command("check-marts")
def check_marts(run: Run) -> None:
    """Judge what a run would show; exit code 1 when a critical check fails."""
    runs.run_step("check_marts", run)


@app.command()
def publish(run: Run) -> None:
    """Show the build of a run that passed the gate."""
    runs.run_step("publish", run)


@app.command()
def rollback(
    to: Annotated[
        int | None, typer.Option(help="build to show again; default: the one before")
    ] = None,
) -> None:
    """Show an earlier build again."""
    from pipeline.publish import rollback as step

    step(to)


@app.command()
def accept(
    check: Annotated[str, typer.Argument(help="name of the check that failed")],
    run: Run,
    reason: Annotated[str, typer.Option(help="why it may pass; kept and shown")],
) -> None:
    """Let a failed check of one run through, on your name."""
    from pipeline.checks import accept as step

    step(check, run, reason, getpass.getuser())


@app.command()
def token(
    kind: Annotated[Kind, typer.Argument()],
    value: Annotated[str, typer.Argument(help="a phone, an e-mail or a name")],
    region: Annotated[str, typer.Option(help="of phones without a country")] = "RU",
) -> None:
    """Print the token that stands for a contact, for use in seeds."""
    from connectors.base.pseudonymise import Tokeniser
    from connectors.base.settings import token_key

    tokens = Tokeniser(*token_key(), region).contact(value, kind.value)
    if not tokens:
        raise PipelineError(f"that is no {kind.value}: it gets no token")
    for each in tokens:
        typer.echo(each)


@app.command("run")
def run_line(
    date_from: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    date_to: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="exclusive")
    ],
    run: Annotated[
        str | None,
        typer.Option("--run", help="go on with this run; default: a new one"),
    ] = None,
) -> None:
    """The whole line for [FROM, TO), as the DAG does it."""
    from pipeline import builds

    run = run or f"cli__{datetime.now(UTC).isoformat(timespec='seconds')}"
    _plan(run, date_from, date_to)
    for number, step in enumerate(runs.STEPS, start=1):
        began = time.monotonic()
        typer.echo(f"[{number}/{len(runs.STEPS)}] {step} …")
        try:
            runs.run_step(step, run)
        except BaseException as error:
            builds.end_run(run, "failed", f"{step}: {mask(str(error))}"[:500])
            raise
        typer.echo(
            f"[{number}/{len(runs.STEPS)}] {step} done in {time.monotonic() - began:.1f} s"
        )
    typer.echo(f"run {run} is published")


@app.command()
def summary(
    date_from: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])
    ] = None,
    date_to: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="exclusive")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Channels: cost, leads, CPL, sales, CAC, revenue, margin, ROMI, ДРР."""
    from pipeline.summary import as_table
    from pipeline.summary import summary as step

    result = step(
        date_from.date() if date_from else None, date_to.date() if date_to else None
    )
    if as_json:
        typer.echo(json.dumps(result.as_json(), ensure_ascii=False, indent=2))
        return
    from rich.console import Console

    # figures are never cut: a narrow terminal wraps the lines instead
    console = Console()
    console.width = max(console.width, 112)
    console.print(as_table(result))


def _plan(run: str, date_from: datetime, date_to: datetime) -> None:
    params = {"date_from": date_from.date(), "date_to": date_to.date()}
    runs.plan(run, params, None, None, manual=True)


def main() -> None:
    """Run the command line; a known failure is one line and exit code 1."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    try:
        app()
    except (PipelineError, ConnectorError) as error:
        text = str(error)
    except psycopg.OperationalError as error:
        text = f"the warehouse does not answer: {' '.join(str(error).split())}"
    else:
        return
    typer.echo(f"error: {mask(text)}", err=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
