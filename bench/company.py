"""`python -m bench company`: CPU seconds for making the simulated company.

The usual company (90 days, 40,000 visits), then its two other firms, each alone and in
a process that does nothing else.
"""

from __future__ import annotations

import os
import time
from datetime import date
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from simulator.world import build_world

if TYPE_CHECKING:
    from collections.abc import Sequence

GOALS = {"msk": 6.0, "spb": 3.0, "kazan": 3.0}


def main(arguments: Sequence[str]) -> None:
    """Print each firm's CPU seconds beside its goal; takes no arguments."""
    if arguments:
        raise SystemExit("python -m bench company takes no options")
    table = Table(title=f"simulated company · {os.cpu_count()} cores")
    for heading in ("firm", "CPU seconds", "goal", ""):
        table.add_column(heading, justify="right" if heading != "firm" else "left")
    group = None
    for name, goal in GOALS.items():
        began = time.process_time()
        if group is None:
            group = build_world(2, date(2026, 6, 1))
        else:
            group.branch(name)
        spent = time.process_time() - began
        verdict = "ok" if spent <= goal else "missed"
        table.add_row(name, f"{spent:.1f}", f"≤ {goal:g}", verdict)
    Console(highlight=False).print(table)
