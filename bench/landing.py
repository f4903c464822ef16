"""How quickly answers land, from the first HTTP request to committed raw rows.

Each load runs in a process of its own, through the real connector, client and
pseudonymisation, into an embedded Postgres of its own with fsync on. Right before and
after it the same records are copied, bare, into a jsonb table without an index: machines
drift, so the ratio is what to judge by. Figures are medians of `--repeat` runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from bench import bodies
from bench.cases import CASES, WINDOW, connector
from bench.one_load import backend_cpu
from connectors.base import settings as environment
from connectors.base.batch import JsonBatch, TsvBatch
from connectors.base.lanes import Shaper
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser
from demo.postgres import Cluster, free_port
from pipeline.setup import LOGIN_ROLES, setup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.cases import Case

ROOT = Path(__file__).resolve().parents[1]
DLT = ROOT / ".local" / "bench-dlt"
MEGABYTE = 1 << 20
GOAL_RATIO = 0.35
GOAL_MEMORY = 140  # MB above a bare Python
GOAL_WAL = 5  # MB a million rows
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "fsync": "on"}
# dlt's quickest settings on these answers among those tried (spec of the prototype,
# and again here): (file format, merge strategy)
DLT_WAYS = (("csv", "delete-insert"), ("csv", "upsert"), ("insert_values", "upsert"))


def main(arguments: list[str]) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench landing", description=__doc__
    )
    parser.add_argument(
        "--rows",
        type=int,
        default=900_000,
        help="rows of the report (exactly a million would look like the vendor's cap)",
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cases", default=",".join(CASES), help="report,visits,calls")
    parser.add_argument("--no-dlt", action="store_true", help="leave the peer out")
    parser.add_argument(
        "--memory", action="store_true", help="also land five times --rows, once"
    )
    chosen = parser.parse_args(arguments)
    console = Console(width=170)
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    password = secrets.token_hex(8)
    cluster = Cluster(home / "postgres", free_port(), password)
    try:
        os.environ["THROUGHLINE_DEMO"] = "1"
        os.environ["THROUGHLINE_TOKEN_KEY"] = "1:" + secrets.token_hex(32)
        cluster.start(**SETTINGS)
        bench = Bench(cluster, home, console)
        console.print(machine(bench), highlight=False)
        found = {}
        for name in chosen.cases.split(","):
            found[name] = bench.case(name, chosen.rows, chosen.repeat)
            if not chosen.no_dlt and CASES[name].times_dlt:
                found[name]["dlt"] = bench.dlt(name, chosen.rows, chosen.repeat)
        if chosen.memory:
            found["report"]["memory_of_five"] = bench.five_times(chosen.rows)
        console.print(report(found, bench.bare_memory()))
        verdicts(found, bench.bare_memory(), console)
        kept = ROOT / ".local" / "bench" / "landing.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found, indent=1))
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


class Bench:
    """A warehouse, a server of answers, and what is measured with them."""

    def __init__(self, cluster: Cluster, home: Path, console: Console) -> None:
        self.cluster = cluster
        self.home = home
        self.console = console
        self.admin_address = cluster.dsn("warehouse")
        setup(self.admin_address, dict.fromkeys(LOGIN_ROLES, cluster.password))
        self.address = make_conninfo(self.admin_address, user="loader")
        self.admin = psycopg.connect(self.admin_address, autocommit=True)

    # -- our own landing -------------------------------------------------------------

    def case(self, name: str, rows: int, repeat: int) -> dict[str, Any]:
        """All runs of one case: lists of figures."""
        case = CASES[name]
        count = max(int(rows * case.share), 1000)
        folder = self.prepare(name, count)
        payload = self.payload(case, name, folder)
        found: dict[str, Any] = {"rows": count, "first": [], "same": [], "bare": []}
        for run in range(repeat):
            self.empty(case)
            for which in ("first", "same"):
                before, cpu_before = self.bare_copy(case, payload, count)
                figures = self.one_load(name, case, folder)
                after, cpu_after = self.bare_copy(case, payload, count)
                figures["bare"] = (before + after) / 2
                figures["bare_cpu"] = (cpu_before + cpu_after) / 2
                found["bare"] += [before, after]
                found[which].append(figures)
                self.say(name, which, run, figures, count)
        shutil.rmtree(folder)
        return found

    def prepare(self, name: str, count: int) -> Path:
        """Make the answers of a case."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.home))
        if name == "report":
            bodies.write_report(folder / "report.tsv", count)
        elif name == "visits":
            bodies.write_visits(folder / "visits.tsv", count)
        else:
            places = bodies.write_calls(folder / "calls.json", count)
            (folder / "calls.places.json").write_text(json.dumps(places))
        return folder

    def payload(self, case: Case, name: str, folder: Path) -> Path:
        """The records as they land, one a line, as COPY takes them."""
        path = folder / "payload"
        with served(folder) as base_url, path.open("wb") as file:
            source, stream = connector(case, base_url)
            tokens = Tokeniser(*environment.token_key())
            shaper = Shaper(
                stream, Pseudonymiser(stream, tokens), WINDOW.time_zone, WINDOW
            )
            for batch in source.pages(stream, WINDOW, None):
                assert isinstance(batch, TsvBatch | JsonBatch)
                for piece in shaper.pieces(batch):
                    for line in piece.lines:
                        file.write(line.split(b"\t", 3)[3] + b"\n")
                tokens.drain()
            assert not shaper.dead, f"{name}: {shaper.dead[0].reason}"
        return path

    def empty(self, case: Case) -> None:
        """A warehouse without this stream."""
        self.admin.execute(sql.SQL("drop table if exists {}").format(self.table(case)))
        self.admin.execute("truncate pii.contacts, identity.token_facts, pii.sealed")

    def table(self, case: Case) -> sql.Identifier:
        return sql.Identifier("raw", f"{case.source}__{case.stream}")

    def bare_copy(self, case: Case, payload: Path, count: int) -> tuple[float, float]:
        """A bare COPY into jsonb, stored as raw stores it: records a second, and CPU
        seconds of the server."""
        large = case.stream == "calls"
        storage = " with (toast_tuple_target = 8160)" if large else ""
        self.admin.execute(f"create table public.bare (record jsonb){storage}")  # type: ignore[arg-type]
        self.admin.execute("checkpoint")
        started = time.perf_counter()
        cpu = backend_cpu(self.admin.info.backend_pid)
        with (
            payload.open("rb") as file,
            self.admin.cursor() as at,
            at.copy("copy public.bare from stdin") as copy,
        ):
            while block := file.read(MEGABYTE):
                copy.write(block)
        seconds = time.perf_counter() - started
        cpu = backend_cpu(self.admin.info.backend_pid) - cpu
        self.admin.execute("drop table public.bare")
        return count / seconds, cpu

    def one_load(self, name: str, case: Case, folder: Path) -> dict[str, Any]:
        """One load in a process of its own, and what it did to the server."""
        self.admin.execute("vacuum")
        self.admin.execute("checkpoint")
        touched = self.touched(case)
        at = self.admin.execute("select pg_current_wal_insert_lsn()").fetchone()
        with served(folder) as base_url:
            figures = run_json("bench.one_load", name, base_url, self.address)
        (wal,) = self.admin.execute(
            "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", at
        ).fetchone() or (0,)
        figures["wal"] = int(wal)
        figures["touched"] = self.touched(case) - touched
        return figures

    def touched(self, case: Case) -> int:
        """Rows of the raw table that were ever written, by the server's own count."""
        self.admin.execute("select pg_stat_force_next_flush()")
        time.sleep(0.2)
        row = self.admin.execute(
            "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint "
            "from pg_stat_user_tables where schemaname = 'raw' and relname = %s",
            (f"{case.source}__{case.stream}",),
        ).fetchone()
        return int(row[0]) if row else 0

    def five_times(self, rows: int) -> float:
        """Peak memory of landing five times as many rows, bytes."""
        folder = self.prepare("report", rows * 5)
        self.empty(CASES["report"])
        figures = self.one_load("report", CASES["report"], folder)
        shutil.rmtree(folder)
        self.console.print(
            f"report × 5: {figures['rows']:,} rows, "
            f"{figures['peak_memory'] / MEGABYTE:.0f} MB at most"
        )
        return float(figures["peak_memory"])

    def bare_memory(self) -> float:
        """Peak memory of a Python that does nothing, bytes."""
        code = (
            "print(next(l for l in open('/proc/self/status') if l[:6] == 'VmHWM:')"
            ".split()[1])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        return float(done.stdout) * 1024

    def say(
        self, name: str, which: str, run: int, figures: dict[str, Any], count: int
    ) -> None:
        rate = count / figures["seconds"]
        self.console.print(
            f"{name} {which} {run + 1}: {rate:,.0f}/s, {rate / figures['bare']:.2f} of "
            f"a bare COPY, CPU {figures['client_cpu']:.1f} + {figures['server_cpu']:.1f} "
            f"s (bare {figures['bare_cpu']:.1f}), {figures['peak_memory'] / MEGABYTE:.0f} MB, "
            f"{figures['touched']:,} rows touched, WAL {figures['wal'] / 1e6:.1f} MB",
            highlight=False,
        )

    # -- the peer ----------------------------------------------------------------------

    def dlt(self, name: str, rows: int, repeat: int) -> dict[str, Any]:
        """Records a second of dlt: {way: {"first": [...], "same": [...]}}."""
        python = dlt_environment(self.console)
        case = CASES[name]
        folder = self.prepare(name, max(int(rows * case.dlt_share), 1000))
        found: dict[str, Any] = {}
        for file_format, strategy in DLT_WAYS:
            if name == "report" and file_format == "insert_values":
                continue  # Arrow tables go as csv anyway: slower in every trial
            way = found[f"{file_format}, {strategy}"] = {"first": [], "same": []}
            for run in range(repeat):
                work = Path(tempfile.mkdtemp(prefix="dlt-", dir=self.home))
                self.admin.execute("drop database if exists dlt with (force)")
                self.admin.execute("create database dlt")
                for which in ("first", "same"):
                    self.admin.execute("checkpoint")
                    with served(folder) as base_url:
                        figures = run_json(
                            "bench.dlt_peer", name, base_url, url(self.cluster),
                            file_format, strategy, str(work), python=python,
                        )  # fmt: skip
                    rate = figures["rows"] / figures["seconds"]
                    way[which].append(rate)
                    self.console.print(
                        f"{name} dlt ({file_format}, {strategy}) {which} {run + 1}: "
                        f"{rate:,.0f}/s",
                        highlight=False,
                    )
                shutil.rmtree(work)
        shutil.rmtree(folder)
        return found


# -- helpers ------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The answers over HTTP, from another process."""
    command = [sys.executable, "-m", "bench.server", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def run_json(module: str, *arguments: str, python: str = sys.executable) -> Any:
    """What a module prints as its last line, read as JSON."""
    done = subprocess.run(
        [python, "-m", module, *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": "plugins:.",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{module} {arguments[0]} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def url(cluster: Cluster) -> str:
    """The peer's database as a URL."""
    return f"postgresql://postgres:{cluster.password}@127.0.0.1:{cluster.port}/dlt"


def dlt_environment(console: Console) -> str:
    """The Python of dlt's own environment, made if it is not there."""
    python = DLT / "bin" / "python"
    wanted = (ROOT / "requirements-bench.txt").read_text()
    stamp = DLT / "requirements-bench.txt"
    if not (stamp.exists() and stamp.read_text() == wanted):
        console.print("making .local/bench-dlt for dlt")
        beside = Path(sys.executable).with_name("uv")
        uv = str(beside) if beside.exists() else shutil.which("uv")
        packages = ("-r", ROOT / "requirements-bench.txt")
        if uv:
            make = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, DLT]
            pip = [
                uv,
                "pip",
                "install",
                "--system-certs",
                "--quiet",
                "--python",
                python,
            ]
        else:
            make = [sys.executable, "-m", "venv", "--clear", DLT]
            pip = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run(make, check=True)
        subprocess.run([*pip, *packages], check=True)
        stamp.write_text(wanted)
    return str(python)


def machine(bench: Bench) -> str:
    """The machine and the server, in a few lines."""
    info = Path("/proc/cpuinfo").read_text()
    model = next(
        (
            line.partition(":")[2].strip()
            for line in info.splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    (server,) = bench.admin.execute("show server_version").fetchone() or ("?",)
    options = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} × {model}; "
        f"{memory:.0f} GB; {platform.platform()}; Python {platform.python_version()}\n"
        f"PostgreSQL {server} ({options}), HTTP on loopback from another process, "
        f"load average {os.getloadavg()[0]:.1f}"
    )


def median(runs: list[dict[str, Any]], name: str) -> float:
    """The median of one figure."""
    return statistics.median(run[name] for run in runs)


def rates(found: dict[str, Any], which: str) -> tuple[float, float]:
    """(records a second, share of the bare COPY around it), medians."""
    runs = found[which]
    rate = statistics.median(found["rows"] / run["seconds"] for run in runs)
    share = statistics.median(
        found["rows"] / run["seconds"] / run["bare"] for run in runs
    )
    return rate, share


def best_dlt(found: dict[str, Any], which: str) -> float:
    """Records a second of dlt's best way, by medians."""
    return max(statistics.median(way[which]) for way in found["dlt"].values())


def report(found: dict[str, Any], bare_memory: float) -> Table:
    """The figures, a line for each case and kind of load."""
    table = Table(title="Landing: medians")
    for column in (
        "answer", "rows", "load", "records/s", "bare COPY/s", "ratio", "best dlt/s", "times",
        "client CPU s", "server CPU s", "bare CPU s", "peak MB above Python", "rows touched", "WAL MB",
    ):  # fmt: skip
        table.add_column(
            column, justify="left" if column in ("answer", "load") else "right"
        )
    for name, case in CASES.items():
        if name not in found:
            continue
        for which in ("first", "same"):
            rate, share = rates(found[name], which)
            peer = best_dlt(found[name], which) if "dlt" in found[name] else None
            runs = found[name][which]
            table.add_row(
                case.title,
                f"{found[name]['rows']:,}",
                which,
                f"{rate:,.0f}",
                f"{statistics.median(found[name]['bare']):,.0f}",
                f"{share:.2f}",
                f"{peer:,.0f}" if peer else "",
                f"{rate / peer:.1f}" if peer else "",
                f"{median(runs, 'client_cpu'):.1f}",
                f"{median(runs, 'server_cpu'):.1f}",
                f"{median(runs, 'bare_cpu'):.1f}",
                f"{(median(runs, 'peak_memory') - bare_memory) / MEGABYTE:.0f}",
                f"{median(runs, 'touched'):,.0f}",
                f"{median(runs, 'wal') / 1e6:.1f}",
            )
    return table


def verdicts(found: dict[str, Any], bare_memory: float, console: Console) -> None:
    """Each goal, whether it was reached, and by what figure."""
    lines: list[tuple[str, bool, str]] = []
    for name, case in CASES.items():
        if name not in found:
            continue
        of = found[name]
        for which, goal in (("first", case.goal_first), ("same", case.goal_same)):
            rate, share = rates(of, which)
            if goal:
                lines.append(
                    (f"{name} {which} ≥ {goal:,}/s", rate >= goal, f"{rate:,.0f}")
                )
            lines.append(
                (
                    f"{name} {which} ≥ {GOAL_RATIO} of COPY",
                    share >= GOAL_RATIO,
                    f"{share:.2f}",
                )
            )
            if "dlt" in of and case.times_dlt:
                times = rate / best_dlt(of, which)
                wanted = f"{name} {which} ≥ {case.times_dlt:g} × dlt"
                lines.append((wanted, times >= case.times_dlt, f"{times:.1f}"))
        touched = max(run["touched"] for run in of["same"])
        lines.append((f"{name} same: 0 rows touched", touched == 0, f"{touched:,}"))
        wal = median(of["same"], "wal") / of["rows"]
        goal_wal = f"{name} same: < {GOAL_WAL} MB of WAL a million"
        lines.append((goal_wal, wal < GOAL_WAL, f"{wal:.2f}"))
        peaks = [run["peak_memory"] for run in (*of["first"], *of["same"])]
        peaks.append(of.get("memory_of_five", 0))
        above = (max(peaks) - bare_memory) / MEGABYTE
        lines.append(
            (
                f"{name}: ≤ {GOAL_MEMORY} MB above Python",
                above <= GOAL_MEMORY,
                f"{above:.0f}",
            )
        )
    for what, reached, figure in lines:
        console.print(
            f"{'reached' if reached else 'MISSED '}  {what}: {figure}", highlight=False
        )
