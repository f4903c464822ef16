"""`python -m simulator serve | truth | describe`: the company on the command line."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from simulator import truth
from simulator.face import DEMO_TOKEN, Options
from simulator.faults import Fault
from simulator.recorded import Recorded
from simulator.server import Company, RunningServer
from simulator.world import BRANCHES, MOSCOW, build_world

if TYPE_CHECKING:
    from types import FrameType

    from simulator.server import Backend
    from simulator.world import World

DEFAULT_PORT = 8900


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, 2 with one line for wrong input."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except (ValueError, OSError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator", description="A fictional company with a seed."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    world = argparse.ArgumentParser(add_help=False)
    world.add_argument("--seed", type=int, default=1, help="which company (1)")
    world.add_argument(
        "--end-date",
        type=date.fromisoformat,
        help="first civil day without data, YYYY-MM-DD (today in Moscow)",
    )
    world.add_argument("--days", type=int, help="days of data (90; small: 14)")
    world.add_argument(
        "--size", type=_size, default=1.0, help="scale, or small (1: 40,000 visits)"
    )
    world.add_argument(
        "--now",
        type=datetime.fromisoformat,
        help="the simulated moment, ISO with offset (end date, 07:00 in Moscow)",
    )

    serve = commands.add_parser("serve", parents=[world], help="answer as the APIs do")
    serve.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: a free one")
    serve.add_argument("--host", default="127.0.0.1", help="address (127.0.0.1)")
    serve.add_argument("--latency", type=float, default=0.0, help="seconds an answer")
    serve.add_argument(
        "--wait", type=float, default=0.3, help="seconds queued work takes, up to 1"
    )
    serve.add_argument("--rate-limits", action="store_true", help="the vendors' limits")
    serve.add_argument("--gzip", action="store_true", help="compress when accepted")
    serve.add_argument("--page-size", type=int, help="pages no larger than this")
    serve.add_argument(
        "--token-env",
        metavar="VARIABLE",
        help="environment variable with the token all sources accept (demo-token)",
    )
    serve.add_argument(
        "--fault", action="append", default=[], help="a fault as JSON, see the README"
    )
    serve.add_argument("--recorded", type=Path, help="folder with recorded answers")
    serve.add_argument("--index", type=Path, help="which request each one answers")
    serve.set_defaults(run=_serve)

    tell = commands.add_parser("truth", parents=[world], help="write what happened")
    tell.add_argument("--out", type=Path, required=True, help="folder for the files")
    tell.set_defaults(run=_truth)

    describe = commands.add_parser("describe", parents=[world], help="count things")
    describe.set_defaults(run=_describe)
    return parser


def _size(text: str) -> float | str:
    return text if text == "small" else float(text)


def _world(given: argparse.Namespace) -> World:
    if given.now is not None and given.now.tzinfo is None:
        raise ValueError("--now: give an offset, such as 2026-06-01T07:00:00+03:00")
    return build_world(given.seed, given.end_date, given.days, given.size, given.now)


def _serve(given: argparse.Namespace) -> int:
    if (given.recorded is None) != (given.index is None):
        raise ValueError("--recorded and --index: one needs the other")
    if given.latency < 0:
        raise ValueError("--latency: must not be negative")
    if given.page_size is not None and given.page_size < 1:
        raise ValueError("--page-size: must be at least 1")
    options = Options(
        now=given.now or datetime.now(MOSCOW),
        wait_seconds=given.wait,
        page_size=given.page_size,
        rate_limits=given.rate_limits,
        default_token=_token(given.token_env),
        gzip=given.gzip,
        latency_seconds=given.latency,
    )
    faults = [Fault.from_mapping(json.loads(text)) for text in given.fault]
    backend: Backend
    if given.recorded is not None:
        backend = Recorded.load(given.recorded, given.index)
        about = f"recorded answers of {', '.join(backend.sources())}"
    else:
        world = _world(given)
        options.now = world.now
        backend = Company(world, options)
        about = f"{world.start_date} to {world.end_date}, seed {world.seed}"
        about += f"; sources: {', '.join(backend.sources()) or 'none'}"
    server = RunningServer(backend, options, given.port, given.host)
    for fault in faults:
        server.inject(fault)

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, leave)
    print(f"{server.base_url}  {about}", flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        server.stop()
    return 0


def _token(variable: str | None) -> str:
    """The token all sources accept, from an environment variable when one is named."""
    if variable is None:
        return DEMO_TOKEN
    token = os.environ.get(variable)
    if not token:
        raise ValueError(f"--token-env: {variable} is empty or not set")
    return token


def _truth(given: argparse.Namespace) -> int:
    for path in truth.export(_world(given), given.out):
        print(path)
    return 0


def _describe(given: argparse.Namespace) -> int:
    world = _world(given)
    print(f"{world.start_date} to {world.end_date} (exclusive), seed {world.seed}")
    print(f"as known at {world.now.isoformat()}")
    firms = [world.branch(name) for name in BRANCHES]
    print(_line("firm", [firm.name for firm in firms]))
    print(_line("digest", [firm.digest()[:12] for firm in firms]))
    for name in _COUNTED:
        counts = [len(getattr(firm.as_of(firm.now), name)) for firm in firms]
        print(_line(name, [f"{count:,}" for count in counts]))
    print(_line("totals, in roubles", [*(firm.name for firm in firms), "group"]))
    sums = [asdict(truth.totals(firm)) for firm in firms]
    sums.append(asdict(truth.group_totals(world)))
    for name in sums[0]:
        values = [_shown(name, row[name]) for row in sums]
        print(_line(name.removesuffix("_kopecks"), values))
    print("kazan's money is with VAT, the others' and the group's without")
    return 0


_COUNTED = (
    "campaigns",
    "ad_groups",
    "ads",
    "keywords",
    "ad_costs",
    "visits",
    "calls",
    "messages",
    "contacts",
    "leads",
    "deals",
    "stage_changes",
    "payments",
    "manual_costs",
    "offline_sales",
    "persons",
)


def _line(name: str, values: list[str]) -> str:
    return f"  {name:20}" + "".join(f"{value:>18}" for value in values)


def _shown(name: str, value: int) -> str:
    return f"{value / 100:,.2f}" if name.endswith("_kopecks") else f"{value:,}"


def _with_plugins() -> None:
    """Let `connectors` be found when PYTHONPATH does not name plugins/."""
    plugins = str(Path(__file__).resolve().parents[1] / "plugins")
    if plugins not in sys.path:
        sys.path.append(plugins)


if __name__ == "__main__":
    _with_plugins()
    sys.exit(main())
