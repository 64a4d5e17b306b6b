"""What a worker does not load before somebody needs it, because it takes memory in each."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import Cluster

PROJECT = Path(__file__).parents[1]
NOT_NEEDED = ("redis", "zxcvbn", "prometheus_client", "opentelemetry")


def test_an_application_without_redis_metrics_or_spans_that_has_judged_no_password_has_loaded_nothing_for_any(
    cluster: Cluster,
) -> None:
    loaded = f"import sys, wsgi; print(*({ {*NOT_NEEDED, 'flask'} } & {{*sys.modules}}))"
    environment = {"PATH": os.defpath, **cluster.environment}
    found = subprocess.run(
        [sys.executable, "-c", loaded], cwd=PROJECT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    assert found.stdout == "flask\n"
