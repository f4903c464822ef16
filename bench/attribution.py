"""What crediting costs: the rule models against one sort, an increment against the whole,
Markov, Shapley and the intervals against the packages people use.

The models of dbt_project run as they are, over made-up touches and conversions, in an
embedded Postgres of its own. CPU seconds are of the server's processes, without dbt.
Peers: DP6's marketing-attribution-models and ChannelAttribution, in an environment of
their own (made when it is not there).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from rich.console import Console
from rich.table import Table

from bench.one_load import backend_cpu
from demo.postgres import Cluster, free_port
from pipeline.attribution import estimate, markov
from pipeline.attribution.fit import fit_months
from pipeline.setup import LOGIN_ROLES, setup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".local" / "bench-attribution"
PEER_PACKAGES = (
    "channelattribution==2.2.5", "marketing-attribution-models==2.1.1", "numpy",
    "pandas", "matplotlib",
)  # fmt: skip
DP6 = "DP6 2.1.1"
CHANNEL_ATTRIBUTION = "ChannelAttribution 2.2.5"
SETTINGS = {
    "shared_buffers": "4GB", "max_wal_size": "4GB", "fsync": "on",
    "work_mem": "1GB", "maintenance_work_mem": "1GB",
    "max_parallel_workers_per_gather": "0", "autovacuum": "off",
}  # fmt: skip
CHANNELS = (
    "yandex_direct_search", "yandex_direct_network", "google_ads_search", "seo",
    "direct", "referral", "social", "email", "maps", "vk_ads", "meta_facebook", "offline",
)  # fmt: skip
# tables that paths are made of; each notes whose rows changed when it is written
UPSTREAM = ["int_touchpoints", "int_touchpoint_persons", "int_conversions"]
MODELS = [
    "int_persons_to_credit", "int_touchpoints_before_conversion", "int_fitted_weights",
    "int_attribution_credits",
]  # fmt: skip

# number, person, moment and channel of each touch; person and moment of each conversion
DRAWN_TOUCHES = """
select
    n, n % {persons} as person,
    timestamptz '2026-01-01' + make_interval(secs => random() * 180 * 86400) as at,
    (array[{channels}])[1 + floor(random() * {count})::int] as channel
from generate_series(1, {touches}) as n
"""
DRAWN_CONVERSIONS = """
select n as person, timestamptz '2026-01-01'
    + make_interval(secs => random() * 180 * 86400) as at
from generate_series(1, {conversions}) as n
"""
TOUCHES = """
select
    md5(n::text) as touchpoint_id,
    'ym_client_id:' || 1600000000000000000 + person as person_id,
    at as touched_at,
    null::date as touch_date, 'visit' as touch_kind, null::text as contact_kind,
    0::bigint as contacts_count,
    channel,
    'Реклама' as channel_group, false as is_paid, false as is_direct,
    null::text as source, 'cpc' as medium, 'yandex_direct' as platform,
    'main' as account_id, (700000000 + n % 40)::text as campaign_id,
    'Поиск | Окна ПВХ' as campaign_name, (5500000000 + n % 400)::text as ad_group_id,
    'группа' as ad_group_name, (14000000000 + n % 900)::text as ad_id,
    (45000000000 + n % 3000)::text as keyword_id, 'пластиковые окна цена' as keyword,
    (45000000000 + n % 3000)::text as keyword_key, 'search' as placement,
    'vendor id' as match_step, n::text as visit_id, null::text as call_id,
    null::text as lead_id, (1600000000000000000 + person)::text as client_id
from ({drawn}) as drawn
"""


def verdict(met: bool) -> str:
    """How a goal ended, in one word or two."""
    return "met" if met else "NOT MET"


def main(arguments: list[str]) -> None:
    """Run the chosen parts and print their figures."""
    parser = argparse.ArgumentParser(
        prog="python -m bench attribution", description=__doc__
    )
    parser.add_argument("--touches", type=int, default=1_000_000)
    parser.add_argument("--paths", type=int, default=1_000_000, help="for the peers")
    parser.add_argument("--no-peers", action="store_true")
    chosen = parser.parse_args(arguments)
    console = Console(width=150)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    warehouse(chosen.touches, console)
    peers(chosen.paths, not chosen.no_peers, console)


# -- in the warehouse ----------------------------------------------------------------


def warehouse(touches: int, console: Console) -> None:
    """Full build, nothing new, one person in a hundred, and the intervals."""
    home = Path(tempfile.mkdtemp(prefix="throughline-bench-"))
    cluster = Cluster(home / "postgres", free_port(), secrets.token_hex(8))
    try:
        cluster.start(**SETTINGS)
        address = cluster.dsn("warehouse")
        setup(address, dict.fromkeys(LOGIN_ROLES, cluster.password))
        with psycopg.connect(address, autocommit=True) as admin:
            line = Line(cluster, admin, home)
            conversions = line.make(touches)
            build = line.begin()
            first = line.build(build, UPSTREAM)
            rows = [("what paths are made of, written", *first)]
            sort = line.sort()
            rows.append(("one sort (create table as … order by)", *sort))
            full = line.build(build, MODELS)
            rows.append(("full build of the credits", *full))
            peak = line.peak
            line.published(build)
            build = line.begin()
            rows.append(("nothing new: credits", *line.build(build, MODELS)))
            line.published(build)
            line.change(100)
            build = line.begin()
            written = line.build(build, UPSTREAM)
            rows.append(("one person in 100: written and compared", *written))
            one = line.build(build, MODELS)
            rows.append(("one person in 100: credits", *one))
            sure = line.intervals()
            rows.append(("intervals, 200 replicates", *sure[:3]))
        table = Table(title=f"{touches:,} touches, {conversions:,} conversions")
        for head in ("", "server CPU s", "wall s", "rows"):
            table.add_column(head, justify="left" if not head else "right")
        for name, cpu, wall, count in rows:
            table.add_row(name, f"{cpu:.1f}", f"{wall:.1f}", count)
        console.print(table)
        ratio = full[0] / sort[0]
        increment, allowed = one[0], 0.03 * full[0] + 5
        console.print(
            "the goals are of 10,000,000 touches and 1,000,000 conversions\n"
            f"full build / sort: {ratio:.2f}, goal 4: {verdict(ratio <= 4)}; its memory "
            f"beside shared_buffers: {peak:.0f} MB, goal work_mem (1024) and 500 MB: "
            f"{verdict(peak <= 1524)}\n"
            f"one person in 100: {increment:.1f} s, goal 3 % of the full build and 5 s, "
            f"{allowed:.1f} s: {verdict(increment <= allowed)}; whoever changed is "
            "found where tables are written, "
            f"{written[0] - first[0]:+.1f} s beside their first writing\n"
            f"intervals: {sure[1]:.1f} s and {sure[3]:.0f} MB, goal 60 s and 2048 MB: "
            f"{verdict(sure[1] <= 60 and sure[3] <= 2048)}"
        )
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


class Line:
    """A warehouse with what stands upstream of the credits."""

    def __init__(self, cluster: Cluster, admin: Any, home: Path) -> None:
        self.cluster, self.admin, self.home = cluster, admin, home
        self.peak = 0.0  # MB of the server's own memory in the last build

    def make(self, touches: int) -> int:
        """Touches of people with five each, half of whom convert; -> conversions."""
        conversions = touches // 10
        self.admin.execute("select setseed(0.1)")
        self.lay(
            DRAWN_TOUCHES.format(
                touches=touches,
                persons=touches // 5,
                channels=", ".join(f"'{name}'" for name in CHANNELS),
                count=len(CHANNELS),
            ),
            DRAWN_CONVERSIONS.format(conversions=conversions),
        )
        self._fit()
        self.admin.execute("vacuum analyze")
        return conversions

    def lay(self, touches: str, conversions: str) -> None:
        """All that stands upstream, of what two queries draw (see DRAWN_TOUCHES)."""
        execute = self.admin.execute
        execute(
            "create table touchpoints.made as select touchpoint_id, person_id, "
            "touched_at, touched_at::date as touch_date, touch_kind, channel, "
            "channel_group, "
            "channel in ('yandex_direct_search', 'google_ads_search', 'vk_ads') "
            "as is_paid, channel = 'direct' as is_direct, "
            "split_part(channel, '_', 1) as source, medium, platform, account_id, "
            "campaign_id, campaign_name, ad_group_id, ad_group_name, ad_id, keyword_id, "
            "keyword, keyword_key, placement, match_step, visit_id, call_id, lead_id, "
            "client_id from (" + TOUCHES.format(drawn=touches) + ") as made"
        )
        execute(
            "create view touchpoints.int_touches_resolved as table touchpoints.made"
        )
        execute("create table touchpoints.int_calls_placed (touchpoint_id text, "
                "called_at timestamptz, caller_phone text)")  # fmt: skip
        execute("create table touchpoints.int_leads_placed (touchpoint_id text, "
                "call_id text, contact_channel text, created_at timestamptz)")  # fmt: skip
        execute(
            f"""
            create table attribution.int_conversions_unioned as
            select
                'sale|main|' || person as conversion_id, 'sale' as conversion_kind,
                'sale' as credited_as, 'main' as account_id,
                'ym_client_id:' || 1600000000000000000 + person as person_id,
                null::text as lead_id, person::text as deal_id,
                null::text as converting_touchpoint_id,
                at - interval '5 days' as lead_created_at,
                at - interval '3 days' as deal_created_at,
                at as attributed_at, at::date as attributed_date, at as converted_at,
                at::date as converted_date, at::date as lead_date, true as is_valid,
                false as is_spam, false as is_duplicate, true as is_new_customer,
                false as is_full_refund,
                (random() * 100000)::numeric(18, 2) as revenue_amount,
                (random() * 40000)::numeric(18, 2) as margin_amount
            from ({conversions}) as drawn
            """
        )
        execute("create table staging.source_ranks (source text, medium text, "
                "source_rank int, valid_from date, valid_to date)")  # fmt: skip
        execute("insert into staging.source_ranks values "
                "('yandex', 'cpc', 9, '2000-01-01', '2999-12-31')")  # fmt: skip
        execute("create table identity.int_person_identifiers (person_id text, "
                "kind text, identifier text, is_shared boolean)")  # fmt: skip
        execute("create table identity.identity_edges (left_kind text, left_id text, "
                "right_kind text, right_id text, why_not_joining text)")  # fmt: skip
        execute("insert into ops.runs (run_id) values ('bench')")
        for schema in ("touchpoints", "attribution", "staging", "identity"):
            execute(f"grant all on all tables in schema {schema} to transformer")

    def _fit(self) -> None:
        """Weights of each month, of steps between any two channels."""
        execute = self.admin.execute
        steps = execute(
            "select 'sale', date_trunc('month', attributed_date)::date, '(start)', "
            "c, count(*) from attribution.int_conversions_unioned, "
            "unnest(%s::text[]) as c group by 2, 4 union all select 'sale', "
            "date_trunc('month', attributed_date)::date, c, '(conversion)', count(*) "
            "from attribution.int_conversions_unioned, unnest(%s::text[]) as c "
            "group by 2, 3",
            (list(CHANNELS), list(CHANNELS)),
        ).fetchall()
        for fitted in fit_months(steps):
            version = execute(
                "insert into attribution.fitted_versions (model, fitted_kind, "
                "conversion_month, period_from, period_to, inputs_hash, build_id, "
                "reason, diagnostics) values ('markov', 'sale', %s, %s, %s, 'x', 0, "
                "'first', '{}') returning version_id",
                (fitted.month, fitted.period_from, fitted.month),
            ).fetchone()[0]
            for channel, effect in zip(
                fitted.chain.channels, fitted.chain.removal_effects, strict=True
            ):
                execute(
                    "insert into attribution.fitted_weights values (%s, %s, %s, 0)",
                    (version, channel, float(effect)),
                )

    def sort(self) -> tuple[float, float, str]:
        """The floor: the same touches written once in the order of their persons."""
        pid = self.admin.info.backend_pid
        before, started = backend_cpu(pid), time.perf_counter()
        self.admin.execute(
            "create table touchpoints.sorted as select * from "
            "touchpoints.int_touchpoints order by person_id, touched_at"
        )
        found = backend_cpu(pid) - before, time.perf_counter() - started, ""
        self.admin.execute("drop table touchpoints.sorted")
        return found

    def begin(self) -> int:
        """A build, as the first station begins one."""
        row = self.admin.execute(
            "insert into ops.builds (run_id, as_of) values ('bench', '2026-07-01') "
            "returning build_id"
        ).fetchone()
        return int(row[0])

    def published(self, build: int) -> None:
        """What publish notes of a build."""
        self.admin.execute(
            "update ops.builds set state = 'published' where build_id = %s", (build,)
        )

    def change(self, every: int) -> None:
        """One touch of each so-many-th person moves by an hour."""
        self.admin.execute(
            "update touchpoints.made set touched_at = touched_at - interval '1 hour' "
            "where touchpoint_id in (select min(touchpoint_id) from touchpoints.made "
            "where hashtext(person_id) %% %s = 0 group by person_id)",
            (every,),
        )

    def build(self, build: int, models: list[str]) -> tuple[float, float, str]:
        """Server CPU and wall seconds of dbt's models, and the rows the last wrote."""
        target = self.home / "target"
        environment = {
            **os.environ,
            "THROUGHLINE_WAREHOUSE_HOST": "127.0.0.1",
            "THROUGHLINE_WAREHOUSE_PORT": str(self.cluster.port),
            "THROUGHLINE_WAREHOUSE_DB": "warehouse",
            "THROUGHLINE_TRANSFORMER_PASSWORD": self.cluster.password,
            "PGOPTIONS": f"-c throughline.build_id={build}",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        before, done, self.peak = self._server_cpu(), threading.Event(), 0.0

        def watch() -> None:
            while not done.wait(0.2):
                self.peak = max(self.peak, self._server_memory())

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        subprocess.run(
            [
                str(Path(sys.executable).parent / "dbt"), "--quiet", "run",
                "--select", *models, "--threads", "1",
                "--project-dir", str(ROOT / "dbt_project"),
                "--profiles-dir", str(ROOT / "dbt_project"),
                "--target-path", str(target), "--log-path", str(target),
            ],
            env=environment, check=True,
        )  # fmt: skip
        done.set()
        watcher.join()
        cpu = self._server_cpu() - before
        results = json.loads((target / "run_results.json").read_text())["results"]
        wall = sum(each["execution_time"] for each in results)
        for each in results:
            rows = each["adapter_response"].get("rows_affected")
            print(each["unique_id"], f"{each['execution_time']:.1f} s, {rows} rows")
        count = results[-1]["adapter_response"].get("rows_affected", 0)
        return cpu, wall, f"{count:,}"

    def lead_here(self) -> None:
        """Let the line's own steps find this warehouse."""
        os.environ["THROUGHLINE_WAREHOUSE_HOST"] = "127.0.0.1"
        os.environ["THROUGHLINE_WAREHOUSE_PORT"] = str(self.cluster.port)
        os.environ["THROUGHLINE_WAREHOUSE_DB"] = "warehouse"
        os.environ["THROUGHLINE_TRANSFORMER_PASSWORD"] = self.cluster.password

    def intervals(self) -> tuple[float, float, str, float]:
        """The step estimate_intervals: CPU of both sides, wall, rows, peak MB."""
        self.lead_here()
        server, client = self._server_cpu(), time.process_time()
        started = time.perf_counter()
        done = estimate.estimate_intervals("bench")
        cpu = self._server_cpu() - server + time.process_time() - client
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        wall = time.perf_counter() - started
        return cpu, wall, f"{done['credits']:,} credits, peak {peak:.0f} MB", peak

    def _server(self) -> Iterator[tuple[int, list[str]]]:
        """Number and /proc/…/stat (from the state on) of the server's processes."""
        backend = Path(f"/proc/{self.admin.info.backend_pid}/stat").read_text()
        server = int(backend.rpartition(")")[2].split()[1])
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if server in (int(folder.name), int(fields[1])):
                yield int(folder.name), fields

    def _server_cpu(self) -> float:
        """CPU seconds of the whole server so far, ended backends too."""
        ticks = os.sysconf("SC_CLK_TCK")
        backend = Path(f"/proc/{self.admin.info.backend_pid}/stat").read_text()
        server = int(backend.rpartition(")")[2].split()[1])
        return (
            sum(
                sum(map(int, fields[11 : 15 if pid == server else 13]))
                for pid, fields in self._server()
            )
            / ticks
        )

    def _server_memory(self) -> float:
        """MB that the server's processes hold for themselves, without shared buffers."""
        total = 0.0
        for pid, _ in self._server():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            held = status.partition("RssAnon:")[2].split()  # none: it has just ended
            total += float(held[0]) / 1024 if held else 0.0
        return total


# -- beside the peers ----------------------------------------------------------------


def made_paths(count: int) -> list[tuple[str, bool]]:
    """Paths of one to a dozen channels as people write them, one in five converts."""
    rng = np.random.default_rng(1)
    lengths = np.minimum(rng.geometric(0.28, count), 40)
    weights = 1.0 / np.arange(1, len(CHANNELS) + 1)
    codes = rng.choice(len(CHANNELS), lengths.sum(), p=weights / weights.sum())
    ends = rng.random(count) < 0.2
    paths, at = [], 0
    for length, end in zip(lengths.tolist(), ends.tolist(), strict=True):
        names = [CHANNELS[code] for code in codes[at : at + length].tolist()]
        paths.append((" > ".join(names), end))
        at += length
    return paths


def ours(paths: list[tuple[str, bool]]) -> dict[str, Any]:
    """Markov and Shapley from the same texts: CPU seconds and credit by channel."""
    texts = [path for path, _ in paths]
    ends = np.array([end for _, end in paths])
    started = time.process_time()
    # in pieces that fit the processor's cache
    pieces = [
        encoded_paths(texts[at : at + 20_000]) for at in range(0, len(texts), 20_000)
    ]
    codes = np.concatenate([each for each, _ in pieces])
    lengths = np.concatenate([np.diff(each) for _, each in pieces])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    encoded = time.process_time() - started
    started = time.process_time()
    chain = markov.fit(markov.count_transitions(codes, offsets, ends, CHANNELS))
    markov_cpu = time.process_time() - started + encoded
    started = time.process_time()
    # a path is the set of its channels, as bits
    sets = np.bitwise_or.reduceat(1 << codes, offsets[:-1])[ends]
    times = np.bincount(sets, minlength=1 << len(CHANNELS))
    sizes = np.bitwise_count(np.arange(len(times)))
    share = times / np.maximum(sizes, 1)
    shapley = [
        float(share[(np.arange(len(times)) >> at & 1).astype(bool)].sum())
        for at in range(len(CHANNELS))
    ]
    return {
        "markov": markov_cpu,
        "shapley": time.process_time() - started + encoded,
        "credit": dict(
            zip(chain.channels, (chain.shares * ends.sum()).tolist(), strict=True)
        ),
        "shapley credit": dict(zip(CHANNELS, shapley, strict=True)),
        "gap": gap_of(chain, codes, offsets, ends),
    }


def encoded_paths(texts: list[str]) -> tuple[Any, Any]:
    """The channels of all paths as places in CHANNELS, and where each path begins.

    Names are told apart by their first and last eight bytes, all of them at once:
    splitting the texts one by one costs more than all the rest.
    """
    data = np.frombuffer(("\n".join(texts) + "\n").encode() + b"\0" * 8, np.uint8)
    signs = np.flatnonzero((data == ord(">")) | (data == ord("\n")))
    ends_path = data[signs] == ord("\n")
    stops = signs - ~ends_path  # a space stands before ">"
    starts = np.zeros_like(stops)
    starts[1:] = signs[:-1] + 2 - ends_path[:-1]
    # an odd number whose products with the names' marks differ in their highest byte
    names = ("".join(name.ljust(64, "\0") for name in CHANNELS)).encode()
    known = _marks(
        np.frombuffer(names, np.uint8),
        np.arange(len(CHANNELS)) * 64,
        np.arange(len(CHANNELS)) * 64 + [len(name) for name in CHANNELS],
    )
    rng = np.random.default_rng(1)
    with np.errstate(over="ignore"):
        while True:
            factor = rng.integers(0, 2**63, dtype=np.uint64) * np.uint64(2) + np.uint64(
                1
            )
            places = (known * factor) >> np.uint64(56)
            if len(set(places.tolist())) == len(CHANNELS):
                break
        table = np.zeros(256, np.int64)
        table[places] = np.arange(len(CHANNELS))
        found = _marks(data, starts, stops)
        codes = table[(found * factor) >> np.uint64(56)]
    if not (known[codes] == found).all():
        raise SystemExit("a path names an unknown channel")
    return codes, np.concatenate([[0], np.flatnonzero(ends_path) + 1])


def _marks(data: Any, starts: Any, stops: Any) -> Any:
    """A number of each name: its first eight bytes and its last, what is short filled."""
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    over = np.maximum(starts + 8 - stops, 0)
    first = words[starts]
    first <<= (over * 8).astype(np.uint64)
    last = words[np.maximum(stops - 8, starts)]
    last <<= (over * 8).astype(np.uint64)
    return first ^ (last * np.uint64(0x9E3779B97F4A7C15))


def gap_of(chain: markov.Chain, codes: Any, offsets: Any, ends: Any) -> float:
    """The largest difference to removal effects from one solve per channel."""
    steps = markov.count_transitions(codes, offsets, ends, CHANNELS)
    states = [markov.START, *CHANNELS]
    place = {state: at for at, state in enumerate(states)}

    def converting(without: str | None) -> float:
        left, right = np.zeros((len(states), len(states))), np.zeros(len(states))
        out = np.zeros(len(states))
        for origin, target, count in steps:
            out[place[origin]] += count
            if target == markov.CONVERSION:
                right[place[origin]] += count
            elif target in place and target != without:
                left[place[origin], place[target]] += count
        return float(
            np.linalg.solve(np.eye(len(states)) - left / out[:, None], right / out)[0]
        )

    whole = converting(None)
    return max(
        abs(float(effect) - (1 - converting(name) / whole))
        for name, effect in zip(chain.channels, chain.removal_effects, strict=True)
    )


def asked(
    question: str, paths: list[tuple[str, bool]], home: Path, packages: Iterable[str]
) -> dict[str, Any]:
    """What attribution_peers.py answers of the paths, in an environment of packages."""
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *packages], check=True
        )
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(paths, file)
        file.flush()
        done = subprocess.run(
            [str(python), str(Path(__file__).with_name("attribution_peers.py")),
             question, file.name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"the peers failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def peers(count: int, with_peers: bool, console: Console) -> None:
    """Our Markov and Shapley beside the packages', on the same paths."""
    paths = made_paths(count)
    mine = ours(paths)
    table = Table(title=f"{count:,} paths, {len(CHANNELS)} channels: CPU seconds")
    for head in ("", "Markov", "Shapley", "largest difference to the exact Markov"):
        table.add_column(head, justify="left" if not head else "right")
    table.add_row(
        "ours",
        f"{mine['markov']:.2f}",
        f"{mine['shapley']:.2f}",
        f"{mine['gap']:.0e} of an effect, goal 1e-9: {verdict(mine['gap'] < 1e-9)}",
    )
    found_peers: dict[str, Any] = {}
    if with_peers:
        found_peers = asked("speed", paths, PEERS, PEER_PACKAGES)
        for name, found in found_peers.items():
            gap = max(
                abs(found["credit"].get(channel, 0.0) - credit)
                for channel, credit in mine["credit"].items()
            )
            table.add_row(
                name, f"{found['markov']:.2f}",
                f"{found['shapley']:.2f}" if "shapley" in found else "-",
                f"{gap:.2f} conversions",
            )  # fmt: skip
    console.print(table)
    for name, model, goal in (
        (DP6, "markov", 10), (DP6, "shapley", 10), (CHANNEL_ATTRIBUTION, "markov", 1),
    ):  # fmt: skip
        if name in found_peers:
            ratio = found_peers[name][model] / mine[model]
            console.print(
                f"{model}: {ratio:.1f} times faster than {name}, goal {goal}: "
                + verdict(ratio >= goal)
            )


if __name__ == "__main__":
    main(sys.argv[1:])
