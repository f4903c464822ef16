"""`python -m pipeline …`: every step of the line without Airflow."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline import setup as setup_step
from pipeline.errors import PipelineError

app = typer.Typer(
    help="Every step of the line from the vendors' APIs to the marts, without Airflow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _main() -> None:
    """Keep the subcommands' names even while there is only one."""


@app.command("setup")
def setup_command(
    superuser_dsn: Annotated[
        str, typer.Option(help="libpq address of a superuser; dbname = the warehouse")
    ],
) -> None:
    """Create roles, schemas and tables; safe to run again."""
    for line in setup_step.setup(superuser_dsn, setup_step.passwords()):
        typer.echo(line)


def main() -> None:
    """Run the command line; a known failure is one line and exit code 1."""
    try:
        app()
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
