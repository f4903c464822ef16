"""Gives recorded answers again, in their order, as quickly as a socket takes them.

`python -m bench.replay FOLDER` prints its port. `FOLDER/CASE/` holds what one read of a
stream was answered: `requests.json` (method and path of each request) and the whole
responses `0`, `1`, …. A request for `/CASE/...` gets the next one and must be for what
was asked then; after the last one it begins anew.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import unquote

END = b"\r\n\r\n"
WARM = "/_warm"  # answered beside the order


class Case:
    """The answers of one read, in memory."""

    def __init__(self, folder: Path) -> None:
        self._asked: list[str] = json.loads((folder / "requests.json").read_text())
        self._answers = [
            (folder / str(n)).read_bytes() for n in range(len(self._asked))
        ]
        self._next = 0
        self._lock = threading.Lock()

    def answer(self, asked: str) -> bytes:
        """The next answer; one that no client takes when another one was due."""
        with self._lock:
            at, self._next = self._next, (self._next + 1) % len(self._asked)
        if self._asked[at] != asked:
            text = f"request {at} was {self._asked[at]!r}, now it is {asked!r}".encode()
            return rendered(418, {"Content-Type": "text/plain"}, text)
        return self._answers[at]


def rendered(status: int, headers: dict[str, str], body: bytes) -> bytes:
    """A whole response, its length declared."""
    lines = [f"HTTP/1.1 {status} Recorded"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: keep-alive"]
    return "\r\n".join(lines).encode() + END + body


def serve(connection: socket.socket, cases: dict[str, Case]) -> None:
    """Answer one connection until it is closed."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    with connection:
        while True:
            while END not in held:
                more = connection.recv(1 << 16)
                if not more:
                    return
                held += more
            head, _, held = held.partition(END)
            line, *rest = head.decode("latin-1").split("\r\n")
            size = 0
            for header in rest:
                name, _, value = header.partition(":")
                if name.lower() == "content-length":
                    size = int(value)
            while len(held) < size:
                held += connection.recv(1 << 16)
            held = held[size:]
            method, target, _ = line.split(" ", 2)
            name, _, path = target.lstrip("/").partition("/")
            asked = f"{method} /{unquote(path.partition('?')[0])}"
            if asked == f"GET {WARM}":
                connection.sendall(rendered(200, {}, b""))
            else:
                connection.sendall(cases[name].answer(asked))


def main() -> None:
    """Serve the folder named on the command line until killed."""
    folders = [each for each in Path(sys.argv[1]).iterdir() if each.is_dir()]
    cases = {each.name: Case(each) for each in folders}
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(
                target=serve, args=(connection, cases), daemon=True
            ).start()


if __name__ == "__main__":
    main()
