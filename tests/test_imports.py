"""What the application imports: only what its requirements pin, and optional packages not before they are needed."""

import ast
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from conftest import Cluster
from packaging.utils import canonicalize_name
from test_requirements import pins

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


def test_every_package_that_is_imported_is_a_requirement_of_the_server() -> None:
    imported = set()
    for path in [*(PROJECT / "taskapp").rglob("*.py"), *PROJECT.glob("*.py"), *(PROJECT / "migrations").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    packages = packages_distributions()
    needed = {canonicalize_name(package) for name in imported for package in packages.get(name, [])} - {"taskapp"}
    assert needed >= {"flask", "sqlalchemy", "gunicorn"}
    assert needed - pins("requirements-tracing.txt").keys() == set(), "requirements.txt or requirements-tracing.txt pins it"
