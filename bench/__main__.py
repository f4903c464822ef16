"""`python -m bench NAME …` runs the benchmark bench/NAME.py."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HELPERS = {"__init__", "__main__"}


def main() -> None:
    """Hand the rest of the command line to the benchmark's `main(arguments)`."""
    folder = Path(__file__).parent
    known = sorted(
        each.stem
        for each in folder.glob("*.py")
        if each.stem not in HELPERS
        and "\ndef main(arguments" in each.read_text("utf-8")
    )
    if len(sys.argv) < 2 or sys.argv[1] not in known:
        raise SystemExit(f"usage: python -m bench {{{','.join(known)}}} [options]")
    importlib.import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])


if __name__ == "__main__":
    main()
