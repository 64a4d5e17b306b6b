"""Every place in which docs/openapi.json lets a client put text, as requests that have a mark behind each.

A new operation, parameter or member is found here by itself.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from isolation.calls import DOCUMENT, documented

MARK = "*"
"""What sqlmap takes for a place to try; no value has it otherwise."""

CONTENT = json.loads(DOCUMENT.read_text())

# What a server, a proxy or a library reads of any request, documented or not.
HEADERS = {
    "X-Request-Id": "request-1",
    "X-Forwarded-For": "192.0.2.1",
    "User-Agent": "client",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Origin": "https://app.example.com",
    "Cookie": "session=1",
    "Accept-Language": "en",
}
# Values that will do, by the name, format or type of what has no example.
BY_NAME = {
    "If-Match": '"1"',
    "If-None-Match": '"0"',
    "Idempotency-Key": "key-1",
    "q": "rent",
    "tag": "home",
    "not_tag": "work",
    "any_tag": "home",
    "timezone": "Europe/Berlin",
}
BY_FORMAT = {"date": "2026-12-01", "date-time": "2026-11-01T00:00:00Z", "boolean": "false"}

Mark = Callable[[str, str], str]


@dataclass(frozen=True)
class Request:
    """A request with marks. `places` names what has one, in their order."""

    operation: str
    group: str
    method: str
    target: str
    headers: dict[str, str]
    body: str | None
    places: list[str]


@dataclass
class Operation:
    """What the document says of an operation, and what will do there for a value where its example will not."""

    method: str
    path: str
    described: dict[str, Any]
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        name: str = self.described["operationId"]
        return name

    @property
    def parameters(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Where it stands, its name, and its schema."""
        shared = CONTENT["paths"][self.path].get("parameters", [])
        known = map(resolved, [*self.described.get("parameters", []), *shared])
        return [(one["in"], one["name"], one["schema"]) for one in known]

    @property
    def content_type(self) -> str | None:
        return next(iter(self.described.get("requestBody", {}).get("content", {})), None)

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        content = self.described.get("requestBody", {}).get("content", {})
        schema = resolved(content[self.content_type]["schema"]) if content else {}
        members: dict[str, dict[str, Any]] = schema.get("properties", {})
        return members

    def target(self, chosen: Callable[[str, dict[str, Any]], bool], mark: Mark) -> str:
        """Write path and query, with those of the query that are chosen."""
        path, query = self.path, list[str]()
        for where, name, schema in self.parameters:
            if where == "path":
                path = path.replace(f"{{{name}}}", mark(name, quote(self.values[name])))
            if where == "query" and chosen(name, schema):
                value = self.value(name, schema, mark, everything=True)
                query += [f"{name}={one}" for one in (value if isinstance(value, list) else [value])]
        return path + ("?" + "&".join(query) if query else "")

    def body(self, chosen: Callable[[str, dict[str, Any]], bool], mark: Mark) -> dict[str, Any]:
        """Make those members of the body that are chosen."""
        return {name: self.value(name, one, mark) for name, one in self.members.items() if chosen(name, one)}

    def value(self, name: str, schema: dict[str, Any], mark: Mark, everything: bool = False) -> Any:
        """Make a value with all its members, and a mark behind each text; behind each number too when all is text."""
        if name in self.values:
            return mark(name, self.values[name])
        whole = resolved(schema)
        if "anyOf" in whole:
            (whole,) = [resolved(one) for one in whole["anyOf"] if one != {"type": "null"}]
        if "properties" in whole:
            of = {member: one for member, one in whole["properties"].items() if not made_by_the_server(member, one)}
            return {member: self.value(member, one, mark) for member, one in of.items()}
        if isinstance(whole.get("additionalProperties"), dict):
            return {mark(f"a key of {name}", "source"): mark(f"a value of {name}", "mail")}
        kind = whole["type"] if isinstance(whole["type"], str) else whole["type"][0]
        if kind == "array":
            (several,) = schema.get("examples", [None])
            return [mark(name, one) for one in several] if several else [self.value(name, whole["items"], mark)]
        shown = [*schema.get("examples", []), *whole.get("examples", []), *whole.get("enum", []), whole.get("const")]
        shown += [BY_NAME.get(name), BY_FORMAT.get(whole.get("format", "")), BY_FORMAT.get(kind)]
        value = next((one for one in shown if one is not None), None)
        assert value is not None, f"the document shows no {name}, so say what will do for one"
        return (
            mark(name, value if isinstance(value, str) else json.dumps(value))
            if everything or isinstance(value, str)
            else value
        )

    def requests(self, token: str) -> Iterator[Request]:
        """Make its requests: what people write; what the server made, sent back; what stands in headers."""
        plain = {"Authorization": f"Bearer {token}"} | ({"Content-Type": self.content_type} if self.content_type else {})

        def request(group: str, headers: dict[str, str], target: str, body: dict[str, Any], places: list[str]) -> Request:
            text = json.dumps(body) if self.members else None
            return Request(self.name, group, self.method, target, headers, text, places)

        places, mark = marking()
        target, body = self.target(made_by_people, mark), self.body(made_by_people, mark)
        if places:
            yield request("content", plain, target, body, places)
        places, mark = marking()
        required = {} if self.content_type == "application/merge-patch+json" else self.body(made_by_people, unmarked)
        target, body = self.target(made_by_the_server, mark), self.body(made_by_the_server, mark)
        if len(places) > self.path.count("{"):
            yield request("echo", plain, target, {**required, **body}, places)
        places, mark = marking()
        conditions = {one: self.values.get(one, BY_NAME[one]) for where, one, _ in self.parameters if where == "header"}
        all_of_them = {"Authorization": plain["Authorization"], **HEADERS, **conditions}
        headers = plain | {one: mark(one, value) for one, value in all_of_them.items()}
        yield request("headers", headers, self.target(made_by_people, unmarked), self.body(made_by_people, unmarked), places)


def operation(name: str, values: Mapping[str, Any]) -> Operation:
    """Find an operation by its name; `values` has what will do for whatever it lets one name that has to exist."""
    (found,) = [one for one in documented() if one[2]["operationId"] == name]
    return Operation(*found, values)


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        at: Any = CONTENT
        for step in node["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        node = at
    return node


def made_by_the_server(name: str, schema: dict[str, Any]) -> bool:
    """Whether it is sent back as it was read, or names what is new: other text there is refused before a statement."""
    return bool(schema.get("readOnly")) or name in ("id", "cursor")


def made_by_people(name: str, schema: dict[str, Any]) -> bool:
    return not made_by_the_server(name, schema)


def unmarked(_: str, value: str) -> str:
    return value


def marking() -> tuple[list[str], Mark]:
    """Return a list of names, and what puts marks and writes down in it of what."""
    places: list[str] = []

    def mark(name: str, value: str) -> str:
        places.append(name)
        return value + MARK

    return places, mark
