"""What it was measured on: without that, no figure says anything."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage

_CONTENDERS = Path(__file__).parent / "requirements.txt"


def machine(stage: Stage) -> dict[str, Any]:
    """Return date, processor, memory, and the versions of what matters."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    ours = ("flask", "flask-smorest", "marshmallow", "sqlalchemy", "psycopg2-binary", "gunicorn", "orjson")
    theirs = re.findall(r"^([a-z0-9-]+)==(.+)$", _CONTENDERS.read_text().partition("# What those need.")[0], re.MULTILINE)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory[1]) / 1024**2, 1) if memory else None,
        "system": f"{platform.system()} {platform.release()}",
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "postgresql": stage.execute("SELECT current_setting('server_version')")[0][0],
        "ours": {package: version(package) for package in ours},
        "theirs": dict(theirs),
    }
