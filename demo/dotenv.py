"""Write .env from .env.example: `python -m demo.dotenv .env.example .env [--demo]`.

A value `generate:password | token_key | fernet_key` becomes a new secret; every
other line is copied. `--demo` points the accounts at the simulated company of the
compose profile `demo`. An existing .env is never touched.
"""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from simulator.connections import connections

MAKERS = {
    "password": lambda: secrets.token_urlsafe(24),
    "token_key": lambda: f"1:{secrets.token_hex(32)}",
    "fernet_key": lambda: Fernet.generate_key().decode(),
}


def filled(example: str) -> str:
    """The text of a .env with every `generate:` value replaced.

    Raises ValueError for a kind of secret that nobody knows how to make.
    """

    def make(found: re.Match[str]) -> str:
        if found[1] not in MAKERS:
            known = ", ".join(sorted(MAKERS))
            raise ValueError(f"generate:{found[1]} is none of: {known}")
        return "=" + MAKERS[found[1]]()

    return re.sub(r"=generate:(\w+)$", make, example, flags=re.MULTILINE)


def for_demo(text: str) -> str:
    """A filled .env whose connections lead to the simulated company."""
    found = dict(re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE))
    wanted = {
        "THROUGHLINE_DEMO": "1",
        "THROUGHLINE_SCHEDULE": "none",
        "THROUGHLINE_SOURCES": "/opt/throughline/simulator/sources.yml",
    }
    token = found["DEMO_API_TOKEN"]
    for name, connection in connections("http://simulator:8099", token).items():
        wanted[name] = f"'{connection}'"
    lines = text.splitlines()
    for number, line in enumerate(lines):
        name = line.partition("=")[0]
        if name in wanted:
            lines[number] = f"{name}={wanted[name]}"
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line: the example, then the file to make, then perhaps --demo."""
    example, target = (Path(argument) for argument in sys.argv[1:3])
    if target.exists():
        sys.exit(f"{target} exists: delete it first if you want new secrets")
    text = filled(example.read_text())
    target.touch(mode=0o600)
    target.write_text(for_demo(text) if "--demo" in sys.argv[3:] else text)
    sys.stdout.write(f"wrote {target} with new secrets\n")


if __name__ == "__main__":
    main()
