"""One load in a process of its own: prints seconds, CPU and peak memory as JSON."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import psycopg

from bench.cases import CASES, WINDOW, account, connector
from connectors.base.landing import land


def backend_cpu(pid: int) -> float:
    """CPU seconds of a server process on this machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory() -> int:
    """Bytes this process had in memory at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def own_cpu() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Arguments: case, base URL, address of the warehouse."""
    name, base_url, address = sys.argv[1:]
    case = CASES[name]
    source, stream = connector(case, base_url)
    with psycopg.connect(address) as connection:
        pid = connection.info.backend_pid
        started, cpu, server_cpu = time.perf_counter(), own_cpu(), backend_cpu(pid)
        result = land(
            connection,
            account=account(case),
            source=case.source,
            stream=stream,
            window=WINDOW,
            batches=source.pages(stream, WINDOW, None),
        )
        seconds = time.perf_counter() - started
        print(
            json.dumps(
                {
                    "seconds": seconds,
                    "client_cpu": own_cpu() - cpu,
                    "server_cpu": backend_cpu(pid) - server_cpu,
                    "peak_memory": peak_memory(),
                    "rows": result.rows_read,
                    "rows_new": result.rows_new,
                    "rows_changed": result.rows_changed,
                    "rows_gone": result.rows_gone,
                    "rows_dead": result.rows_dead,
                    "load_id": result.load_id,
                }
            )
        )


if __name__ == "__main__":
    main()
