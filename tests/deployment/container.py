"""What a container is on this machine: an environment, a user without rights, folders, and ports in the place of names."""

import os
import re
import shlex
from pathlib import Path

from conftest import free_port
from installation import postgres_programs

from deployment.compose import Service, given
from deployment.image import APPLICATION, image_of

PORTS = {"postgres": 5432, "pgbouncer": 6432, "redis": 6379, "api": 8000}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# In each container its own; what the image has stands below /srv and is the same for all.
_WRITABLE = ("data", "tmp", "run/pgbouncer", "var/run/postgresql")
_NOBODY = 65534


class ContainerPaths:
    """Where on this machine the services, ports and folders of containers are."""

    def __init__(self, folder: Path) -> None:
        self.ports = {name: free_port() for name in PORTS}
        self.image = folder / "image"
        self._folder = folder

    def here(self, name: str, text: str) -> str:
        """Write what is said in the container of a service as it has to be said here."""
        for service, port in PORTS.items():
            text = re.sub(rf"(?<=[@=]){service}(?=[: ])", "127.0.0.1", text)
            text = re.sub(rf"(^|[:= /]){port}\b", rf"\g<1>{self.ports[service]}", text, flags=re.MULTILINE)
        text = text.replace("0.0.0.0", "127.0.0.1")
        parents = {"srv": self.image, **dict.fromkeys(_WRITABLE, self._folder / "tmpfs" / name)}
        pattern = rf"(^|[ >])/({'|'.join(parents)})\b"
        return re.sub(pattern, lambda found: f"{found[1]}{parents[found[2]]}/{found[2]}", text, flags=re.MULTILINE)


def program_inside(places: ContainerPaths, name: str, service: Service) -> str:
    """Write a program that runs its arguments in a service; what it may write to is made."""
    image = image_of(service)
    environment = {"PATH": _PATH, "TMPDIR": "/tmp", **given(service)}
    if image is APPLICATION:
        search = image.environment["PATH"].replace("$PATH", _PATH)
        environment = {**image.environment, **environment, "PATH": search, "TASKAPP_PORT": str(PORTS["api"])}
    if name == "postgres":
        # Who works in its container is let in by name.
        assert "--auth-local=peer" in environment["POSTGRES_INITDB_ARGS"]
        password = environment["POSTGRES_PASSWORD"]
        environment |= {"PGHOST": "127.0.0.1", "PGPORT": "5432", "PGUSER": service["user"], "PGPASSWORD": password}
    for folder in service.get("tmpfs", ["/tmp"]):
        place = Path(places.here(name, folder))
        place.mkdir(parents=True, exist_ok=True)
        for parent in place.parents[: len(place.relative_to(places.image.parent).parts) - 1]:
            # Whatever the umask is, the user of the service gets there.
            parent.chmod(0o755)
        place.chmod(0o777)
    settings = shlex.join(f"{variable}={places.here(name, value)}" for variable, value in environment.items())
    if name == "postgres":
        # As in the image, the tools are of the server's version.
        settings += " " + shlex.quote(f"PATH={postgres_programs(places.image)}:{_PATH}")
    work = places.here(name, image.all("WORKDIR")[-1]) if image is APPLICATION else "/"
    return f'#!/bin/sh\ncd {work} && exec env -i {settings} {_as_whom(service)} "$@"\n'


def _as_whom(service: Service) -> str:
    """Become whom the service or its image names, if we may, with what rights docker-compose.yml leaves it."""
    words = ["setpriv"]
    words += ["--no-new-privs"] if "no-new-privileges:true" in service.get("security_opt", []) else []
    if os.geteuid() == 0:
        image = image_of(service)
        user = image.user if image else _NOBODY
        words += ["--bounding-set=-all"] if service.get("cap_drop") == ["ALL"] else []
        words += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return shlex.join(words)
