"""A PostgreSQL server of one's own in a temporary folder, from the system's packages (`apt-get install postgresql`)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

PASSWORD = "open-sesame-4711"
_USERS = ("postgres", "nobody")
"""Who runs it where we are root, whom it refuses."""


def binaries() -> Path | None:
    """Where `initdb` and `postgres` are; None where they are not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "postgres").exists() and (each / "initdb").exists()), None)


class Postgres:
    """The server; a context manager. It can be killed and brought back."""

    def __init__(self) -> None:
        where = binaries()
        if where is None:
            raise SystemExit("no initdb: apt-get install postgresql")
        self._bin = where
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as: dict[str, object] = {"cwd": "/", "env": {"PATH": str(where), "LC_ALL": "C"}}
        if os.getuid() == 0:
            who = next(pwd.getpwnam(each) for each in _USERS if any(one.pw_name == each for one in pwd.getpwall()))
            os.chown(self._folder, who.pw_uid, who.pw_gid)
            self._as |= {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """With user and password."""
        return f"postgresql://team:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Postgres:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        made = [
            self._bin / "initdb",
            "-D",
            self._folder / "data",
            "-U",
            "team",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
        ]
        subprocess.run([*made, "--no-locale", "-E", "UTF8"], check=True, capture_output=True, **self._as)  # type: ignore[call-overload]
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, also after a kill, and wait until it answers."""
        import psycopg

        said = (self._folder / "log").open("ab")
        options = [
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
            "shared_buffers=16MB",
        ]
        command = [
            self._bin / "postgres",
            "-D",
            self._folder / "data",
            *(part for each in options for part in ("-c", each)),
        ]
        self._server = subprocess.Popen(command, stdout=said, stderr=said, **self._as)  # type: ignore[call-overload]
        said.close()
        for _ in range(300):
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit((self._folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """End it at once, as a crash does: what was committed is there after `start`."""
        if self._server is not None:
            subprocess.run(
                [self._bin / "pg_ctl", "stop", "-D", self._folder / "data", "-m", "immediate"],
                check=False, capture_output=True, **self._as,  # type: ignore[call-overload]
            )  # fmt: skip
            self._server.wait()
            self._server = None

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Rows of a query."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def ask_nothing(self, statement: str, *bounds: object) -> None:
        """Do a statement that gives no rows."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, bounds or None)  # type: ignore[arg-type]
