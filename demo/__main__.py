"""`python -m demo up | down | status | clean`: what `make demo` and `make down` call."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import requests
import typer
from rich.console import Console

from demo import airflow, databases, processes, superset
from demo.postgres import Cluster, PostgresError, wheel_binaries
from demo.settings import (
    LOCAL,
    RECORDED,
    ROOT,
    STATE,
    DemoError,
    DemoSettings,
    port_is_free,
)

app = typer.Typer(
    help="Throughline on one machine, without Docker.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, soft_wrap=True)
PYTHON = str(ROOT / ".venv/bin/python")
DISK_NEEDED = 3 * 1024**3
ZONE = ZoneInfo("Europe/Moscow")


def cluster_of(settings: DemoSettings) -> Cluster:
    """The demo's embedded Postgres."""
    return Cluster(
        LOCAL / "postgres", settings.ports["postgres"], settings.secret["postgres"]
    )


def say(text: str, since: float | None = None) -> None:
    """One line of progress, with the seconds the step took."""
    took = "" if since is None else f" [dim]{time.monotonic() - since:5.1f} s[/dim]"
    console.print(f"  {text}{took}")


def check_machine(settings: DemoSettings, with_superset: bool) -> None:
    """Refuse, with the fix, what would fail later: a full disk or a taken port."""
    free = shutil.disk_usage(ROOT).free
    if free < DISK_NEEDED and not (LOCAL / "postgres").exists():
        raise DemoError(
            f"{ROOT} has {free / 1024**3:.1f} GB free and the demo needs "
            f"{DISK_NEEDED / 1024**3:.0f} GB: free some space or clone elsewhere"
        )
    ours = {
        "airflow": processes.is_running("airflow-api-server"),
        "simulator": processes.is_running("simulator"),
        "superset": processes.is_running("superset") or not with_superset,
        "postgres": cluster_of(settings).is_running(),
    }
    for name, port in settings.ports.items():
        if not ours[name] and not port_is_free(port):
            raise DemoError(
                f"port {port} (for {name}) is in use by another program: stop it, or "
                f"choose another with `DEMO_{name.upper()}_PORT={port + 1000} make demo`"
            )


def start_postgres(settings: DemoSettings) -> None:
    """Start the server, make the databases, prepare the warehouse's roles."""
    cluster = cluster_of(settings)
    cluster.start(shared_buffers="256MB", max_wal_size="2GB", jit="off")
    names = ("airflow", "superset")
    databases.create(cluster.dsn(), {name: settings.secret[name] for name in names})
    env = {
        **settings.environment(),
        "THROUGHLINE_SUPERUSER_DSN": cluster.dsn("warehouse"),
    }
    processes.run("warehouse-setup", [PYTHON, "-m", "pipeline", "setup"], env)


def start_simulator(settings: DemoSettings, end_date: date) -> None:
    """Start the simulated company's APIs; they answer as on `end_date`."""
    processes.start(
        "simulator",
        [
            PYTHON, "-m", "simulator", "serve",
            "--port", str(settings.ports["simulator"]),
            "--seed", str(settings.seed),
            "--days", str(settings.days),
            "--size", settings.size,
            "--end-date", end_date.isoformat(),
            "--token-env", "DEMO_API_TOKEN",
            *(
                ["--recorded", str(RECORDED), "--index", str(RECORDED / "index.yml")]
                if RECORDED
                else []
            ),
        ],
        {**settings.environment(), "DEMO_API_TOKEN": settings.secret["api_token"]},
    )  # fmt: skip


def wait_for_simulator(settings: DemoSettings, seconds: float = 60) -> None:
    """Wait until the simulated company answers; raises DemoError with its log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and processes.is_running("simulator"):
        try:
            url = f"{settings.url('simulator')}/_simulator/health"
            if requests.get(url, timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.3)
    raise DemoError(
        f"the simulator did not start; the end of {processes.log_file('simulator')}:\n"
        f"{processes.tail('simulator')}"
    )


def simulated_end_date() -> date:
    """Where the simulated company ends: kept from the first start, else today."""
    kept = LOCAL / "end_date"
    if processes.is_running("simulator") and kept.exists():
        return date.fromisoformat(kept.read_text().strip())
    today = datetime.now(ZONE).date()
    kept.write_text(f"{today}\n")
    return today


def run_dag(settings: DemoSettings, end_date: date) -> None:
    """Run `marketing` over the simulated days and tell each task as it ends."""
    client = airflow.Client(settings)
    since = time.monotonic()
    client.wait_until_healthy()
    client.wait_for_dag("marketing")
    say("Airflow is up", since)
    first = (end_date - timedelta(days=settings.days)).isoformat()
    window = {
        "date_from": os.environ.get("DEMO_FROM") or first,
        "date_to": os.environ.get("DEMO_TO") or end_date.isoformat(),
    }
    run_id = client.trigger("marketing", window)
    say(f"marketing runs over {window['date_from']} … {window['date_to']}")
    for task in client.follow("marketing", run_id):
        label = task["task_id"]
        if task["map_index"] >= 0:
            label += f" · {task.get('rendered_map_index') or task['map_index']}"
        mark = "[green]✓[/green]" if task["state"] == "success" else task["state"]
        console.print(f"    {mark} {label:<42} {task['duration'] or 0:6.1f} s")


@app.command()
def up(
    with_superset: bool = typer.Option(
        True,
        "--superset/--no-superset",
        envvar="DEMO_SUPERSET",
        help="Bring it up too.",
    ),
) -> None:
    """Start everything, run the pipeline over the simulated company, show the result."""
    began = time.monotonic()
    settings = DemoSettings.load()
    LOCAL.mkdir(parents=True, exist_ok=True)
    check_machine(settings, with_superset)
    settings.save()
    console.print("[bold]Throughline demo[/bold]")

    end_date = simulated_end_date()
    start_simulator(settings, end_date)
    since = time.monotonic()
    start_postgres(settings)
    say(f"Postgres 18 on port {settings.ports['postgres']}", since)

    with ThreadPoolExecutor(1) as pool:
        dashboards: Future[None] | None = None
        if with_superset and not processes.is_running("superset"):
            dashboards = pool.submit(superset.prepare, settings)
        since = time.monotonic()
        wait_for_simulator(settings)
        say(f"the simulated company on {settings.url('simulator')}", since)
        airflow.start(settings)
        run_dag(settings, end_date)
        if dashboards is not None:
            since = time.monotonic()
            dashboards.result()
            superset.start(settings)
            superset.wait_until_healthy(settings)
            say("Superset is up", since)

    console.print()
    summary = [PYTHON, "-m", "pipeline", "summary"]
    if subprocess.run(summary, env=settings.environment(), cwd=ROOT).returncode != 0:
        raise DemoError("the table of channels could not be read: see the lines above")
    console.print()
    console.print(
        f"  Airflow   {settings.url('airflow')}/dags/marketing   "
        f"{airflow.USER} / {settings.secret['airflow_admin']}"
    )
    if with_superset:
        console.print(
            f"  Superset  {settings.url('superset')}"
            f"/superset/dashboard/{superset.DASHBOARD}/   "
            f"{superset.USER} / {settings.secret['superset_admin']}"
        )
    console.print("  SQL       make psql")
    console.print(
        f"\n  ready in {time.monotonic() - began:.0f} s · everything stays up until "
        "`make down`"
    )


@app.command()
def down() -> None:
    """Stop what `up` started, and nothing else; the data stays."""
    if not STATE.exists():
        console.print("nothing was started here")
        return
    settings = DemoSettings.load()
    for name in processes.names():
        if processes.stop(name):
            say(f"{name} stopped")
    cluster = cluster_of(settings)
    if cluster.is_running():
        cluster.stop()
        say("postgres stopped")


@app.command()
def status() -> None:
    """Which servers of the demo are up, and where."""
    if not STATE.exists():
        console.print("nothing was started here: run `make demo`")
        return
    settings = DemoSettings.load()
    for name in processes.names():
        say(f"{name:<24} {'up' if processes.is_running(name) else 'not running'}")
    state = "up" if cluster_of(settings).is_running() else "not running"
    say(f"{'postgres':<24} {state}")


@app.command()
def clean() -> None:
    """Stop everything and delete the demo's data (.local)."""
    down()
    if STATE.exists():
        cluster_of(DemoSettings.load()).destroy()
    shutil.rmtree(LOCAL, ignore_errors=True)


@app.command()
def psql() -> None:
    """An SQL prompt on the marts, as the role `bi`."""
    settings = DemoSettings.load()
    found = shutil.which("psql") or str(wheel_binaries() / "psql")
    environment = {
        **os.environ,
        "PGPASSWORD": settings.secret["bi"],
        "PGOPTIONS": "-c search_path=marts",
    }
    address = f"host=127.0.0.1 port={settings.ports['postgres']} dbname=warehouse"
    os.execve(found, [found, f"{address} user=bi"], environment)  # noqa: S606


@app.command()
def env() -> None:
    """Print the demo's settings as shell exports, to run steps by hand."""
    settings = DemoSettings.load()
    for name, value in {**settings.warehouse(), **settings.connections()}.items():
        sys.stdout.write(f"export {name}='{value}'\n")


def main() -> None:
    """Entry point: what a user has to mend is one line, without a traceback."""
    try:
        app(standalone_mode=False)
    except (DemoError, PostgresError, psycopg.OperationalError) as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"[red]✗[/red] {error}"
        )
        sys.exit(1)
    except typer.Exit as leave:
        sys.exit(leave.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("\nstopped; servers that were started stay up: `make down`\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
