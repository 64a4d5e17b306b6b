"""The dashboard and the alerts ask for what the application exports, by the labels that it has, and for nothing else."""

import json
import re
from collections.abc import Iterator

import pytest
import yaml
from live import PROJECT

from taskapp.serving.metrics import REGISTRY

OPS = PROJECT / "ops"
EXPORTED = {metric.name for metric in REGISTRY.collect()}
KINDS = {metric.name: metric.type for metric in REGISTRY.collect()}
SUFFIXES = {"histogram": ["_bucket", "_count", "_sum"], "counter": ["_total"], "gauge": [""]}
SERIES = {f"{name}{suffix}": name for name, kind in KINDS.items() for suffix in SUFFIXES.get(kind, [""])}
LABELS = {
    "taskapp_request_seconds": {"operation", "status", "le"},
    "taskapp_database_messages": {"operation"},
    "taskapp_database_seconds": {"operation"},
    "taskapp_problems": {"operation", "code", "status"},
    "taskapp_logins": {"outcome"},
    "taskapp_pool_size": {"role"},
    "taskapp_pool_checked_out": {"role"},
    "taskapp_pool_waiting": {"role"},
    "taskapp_build_info": {"version"},
}
WORDS = {"sum", "rate", "by", "histogram_quantile", "topk", "max", "absent", "or", "vector"}


def dashboard() -> Iterator[tuple[str, str]]:
    board = json.loads((OPS / "grafana-dashboard.json").read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            yield variable["name"], re.sub(r"^label_values\((.*), (\w+)\)$", r"sum by (\2) (\1)", query)


def alerts() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((OPS / "prometheus-alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


QUERIES = [*dashboard(), *alerts()]


def wrong(query: str) -> list[str]:
    """Name what the application does not export."""
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", query)
    grouped = [label for labels in re.findall(r"by \(([^)]*)\)", bare) for label in labels.split(", ")]
    selected = re.findall(r"(\w+)(?:=~|!~|!=|=)", bare)
    names = {word for word in re.findall(r"\b[a-z_]\w*", re.sub(r"by \([^)]*\)|\{[^}]*\}", "", bare)) if word not in WORDS}
    known = set.intersection(*(LABELS[SERIES[name]] for name in names & set(SERIES))) if names & set(SERIES) else set()
    return sorted(names - set(SERIES)) + [label for label in grouped + selected if label not in known]


@pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_a_query_names_only_what_is_exported(name: str, query: str) -> None:
    assert re.search("taskapp_", query)
    assert wrong(query) == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("sum(rate(taskapp_requests_total[5m]))", ["taskapp_requests_total"]),
        ("sum(rate(taskapp_request_seconds[5m]))", ["taskapp_request_seconds"]),
        ("sum by (path) (taskapp_pool_size)", ["path"]),
        ('taskapp_logins_total{user="x"}', ["user"]),
        ("up == 0", ["up"]),
    ],
)
def test_a_query_of_something_else_would_be_found(query: str, named: list[str]) -> None:
    assert wrong(query) == named


def test_each_metric_has_these_labels_and_is_looked_at_somewhere() -> None:
    assert {metric.name for metric in REGISTRY.collect()} == set(LABELS)
    found = {metric.name: {label for sample in metric.samples for label in sample.labels} for metric in REGISTRY.collect()}
    assert {name: labels for name, labels in found.items() if not labels <= LABELS[name]} == {}
    asked = " ".join(query for _, query in QUERIES)
    assert [name for name in LABELS if name not in asked] == []
