"""Serves answers made beforehand from files, as quickly as a socket takes them.

`python -m bench.server FOLDER` prints its port. The routes are those of the real APIs,
as far as the connectors ask: Direct's report, a log of Metrica's, Calltouch's journal.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    folder: Path
    places: list[tuple[int, int]]

    def log_message(self, format: str, *values: object) -> None:
        """Be silent."""

    def _file(
        self, name: str, kind: str, start: int = 0, size: int | None = None
    ) -> None:
        with (self.folder / name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size if size is None else size
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            self.wfile.flush()
            while size:
                sent = os.sendfile(self.connection.fileno(), file.fileno(), start, size)
                start, size = start + sent, size - sent

    def _json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _log(self, status: str) -> None:
        size = (self.folder / "visits.tsv").stat().st_size
        self._json(
            {
                "log_request": {
                    "request_id": 1,
                    "counter_id": 50001,
                    "source": "visits",
                    "status": status,
                    "size": size,
                    "parts": [{"part_number": 0, "size": size}],
                }
            }
        )

    def do_POST(self) -> None:
        """Reports and orders of logs."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path.endswith("/reports"):
            self._file("report.tsv", "text/tab-separated-values; charset=utf-8")
        elif path.endswith("/logrequests"):
            self._log("created")
        else:
            self._log("cleaned_by_user")

    def do_GET(self) -> None:
        """Logs and pages of calls."""
        parts = urlsplit(self.path)
        if parts.path.endswith("/download"):
            self._file("visits.tsv", "text/tab-separated-values")
        elif parts.path.endswith("/evaluate"):
            evaluation = {"possible": True, "max_possible_day_quantity": 300}
            self._json({"log_request_evaluation": evaluation})
        elif parts.path.endswith("/logrequests"):
            self._json({"requests": []})
        elif "/logrequest/" in parts.path:
            self._log("processed")
        else:
            page = int(parse_qs(parts.query)["page"][0])
            self._file("calls.json", "application/json", *self.places[page - 1])


def main() -> None:
    """Serve the folder named on the command line until killed."""
    Handler.folder = Path(sys.argv[1])
    places = Handler.folder / "calls.places.json"
    Handler.places = json.loads(places.read_text()) if places.exists() else []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
