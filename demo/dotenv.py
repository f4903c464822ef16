"""Write .env from .env.example: `python -m demo.dotenv .env.example .env`.

A value `generate:password | token_key | fernet_key` becomes a new secret; every
other line is copied. An existing .env is never touched.
"""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path

from cryptography.fernet import Fernet

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


def main() -> None:
    """Command line: the example, then the file to make."""
    example, target = (Path(argument) for argument in sys.argv[1:3])
    if target.exists():
        sys.exit(f"{target} exists: delete it first if you want new secrets")
    target.touch(mode=0o600)
    target.write_text(filled(example.read_text()))
    sys.stdout.write(f"wrote {target} with new secrets\n")


if __name__ == "__main__":
    main()
