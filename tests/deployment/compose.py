"""docker-compose.yml, as docker-compose itself understands it."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from live import PROJECT, program

Service = dict[str, Any]
Services = dict[str, Service]


def services(environment: Path) -> Services:
    """Read all services, with what a file of variables says.

    :raises subprocess.CalledProcessError: when docker-compose refuses; ``stderr`` says why.
    """
    command = [program("docker-compose"), "--file", str(PROJECT / "docker-compose.yml"), "--env-file", str(environment)]
    # Later versions show only the services that are switched on.
    clean = {"PATH": os.environ["PATH"], "COMPOSE_PROFILES": "operator,redis"}
    printed = subprocess.run([*command, "config"], env=clean, check=True, capture_output=True, text=True).stdout
    # What is printed is to be read by docker-compose again, for which one of two signs is an escape.
    found: Services = yaml.safe_load(printed.replace("$$", "$"))["services"]
    return found


def switched_on(found: Services, environment: Path) -> list[str]:
    """Name the services that `up` starts, each after those that it waits for."""
    profiles = set(re.findall(r"^COMPOSE_PROFILES=(.*)$", environment.read_text(), re.MULTILINE))
    order: list[str] = []

    def add(name: str) -> None:
        for before in found[name].get("depends_on", {}):
            add(before)
        if name not in order:
            order.append(name)

    for name in sorted(found):
        if profiles.issuperset(found[name].get("profiles", [])):
            add(name)
    return order


def given(service: Service) -> dict[str, str]:
    """What a service has in its environment."""
    return {name: str(value) for name, value in service.get("environment", {}).items() if value is not None}
