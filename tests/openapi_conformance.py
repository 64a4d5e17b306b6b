"""The published document, and real responses held against it."""

import copy
import json
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from werkzeug.test import TestResponse

from taskapp.web.requests.field_errors import FIELD_ERRORS

# Headers that are HTTP's affair, not this API's.
PLUMBING = {
    *("Content-Type", "Content-Length", "Vary", "X-Content-Type-Options"),
    *("Content-Security-Policy", "Referrer-Policy", "Cross-Origin-Resource-Policy"),
    *("Access-Control-Allow-Origin", "Access-Control-Expose-Headers"),
}
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@cache
def published_by(app: Flask) -> "Document":
    """Read the document that an application publishes."""
    (api,) = (known["ext_obj"] for known in app.extensions["flask-smorest"]["apis"].values())
    return Document(json.loads(json.dumps(api.spec.to_dict())))


def closed(content: dict[str, Any]) -> dict[str, Any]:
    """Refuse members that are not published: clients are to expect more in answers, and these tests are not."""
    closed = copy.deepcopy(content)
    for schema in closed["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return closed


class Document:
    """The document, with ways to find one's way in it."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self._closed = closed(content)
        self._inlined: dict[str, Any] = {}
        self._validators: dict[str, Any] = {}

    @property
    def schemas(self) -> dict[str, Any]:
        schemas: dict[str, Any] = self.content["components"]["schemas"]
        return schemas

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, item in self.content["paths"].items():
            for method in METHODS & set(item):
                yield method, path, item[method]

    def operation(self, name: str) -> dict[str, Any]:
        (found,) = [operation for _, _, operation in self.operations() if operation["operationId"] == name]
        return found

    def parameters(self, name: str) -> set[tuple[str, str]]:
        found = {
            (parameter["in"], parameter["name"])
            for _, path, operation in self.operations()
            if operation["operationId"] == name
            for parameter in map(
                self.resolve, operation.get("parameters", []) + self.content["paths"][path].get("parameters", [])
            )
        }
        return found

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = self.at(node["$ref"])
        return node

    def at(self, reference: str) -> Any:
        return _at(self.content, reference)

    def validate(self, value: Any, reference: str) -> None:
        if reference not in self._validators:
            schema = self._without_references({"$ref": reference})
            self._validators[reference] = Draft202012Validator(schema, format_checker=FormatChecker())
        self._validators[reference].validate(value)

    def _without_references(self, node: Any) -> Any:
        """Put in place of each `$ref` what it refers to: looking it up takes longer than most validations."""
        if isinstance(node, list):
            return [self._without_references(each) for each in node]
        if not isinstance(node, dict):
            return node
        beside = {name: self._without_references(value) for name, value in node.items() if name != "$ref"}
        if "$ref" not in node:
            return beside
        reference = node["$ref"]
        if reference not in self._inlined:
            self._inlined[reference] = self._without_references(_at(self._closed, reference))
        schema = self._inlined[reference]
        return {**beside, "allOf": [*beside.get("allOf", []), schema]} if beside else schema

    def operation_of(self, response: TestResponse) -> dict[str, Any]:
        method, path = response.request.method.lower(), response.request.path
        found: dict[str, Any] = self.content["paths"][self.template_of(path)][method]
        return found

    def template_of(self, path: str) -> str | None:
        fitting = (known for known in self.content["paths"] if re.fullmatch(_pattern(known), path))
        return next(fitting, None)

    def covers(self, response: TestResponse) -> bool:
        """Tell whether it is an operation's answer; the export alone comes in pieces, and is checked where it is tested."""
        item = self.content["paths"].get(self.template_of(response.request.path), {})
        return response.request.method.lower() in item and response.request.path != "/v1/me/export"

    def check(self, response: TestResponse, sent: Any = None) -> None:
        """Expect what the document promises for this request: status, headers, content type and body.

        :param sent: the JSON of the request. What the server takes, the document has to allow.
        """
        operation = self.operation_of(response)
        assert str(response.status_code) in operation["responses"], f"{response.status} is not documented"
        promised = self.resolve(operation["responses"][str(response.status_code)])
        self._check_headers(response, promised["headers"], signed_in=operation.get("security") != [])
        content = promised.get("content", {})
        if response.status_code < 300 and sent is not None and "requestBody" in operation:
            for media in operation["requestBody"]["content"].values():
                self.validate(_as_kept(sent), media["schema"]["$ref"])
        if not response.data:
            assert content == {}, f"{response.status} without the promised body"
            return
        assert response.mimetype in content, f"{response.status} with an unpromised {response.mimetype}"
        body = response.get_json()
        self.validate(body, content[response.mimetype]["schema"]["$ref"])
        if response.status_code >= 400:
            assert {error["code"] for error in body.get("errors", ())} <= FIELD_ERRORS.keys()
            codes = set(content[response.mimetype]["examples"])
            assert body["code"] in codes, f"{response.status} with the code {body['code']}, which is not documented"

    def _check_headers(self, response: TestResponse, promised: dict[str, Any], signed_in: bool) -> None:
        headers = {name: self.resolve(header) for name, header in promised.items()}
        always = {name for name, header in headers.items() if header["required"]}
        # The public operations fail with the same responses.
        always |= {"RateLimit", "RateLimit-Policy"} if signed_in else set()
        always |= {401: {"WWW-Authenticate"}, 429: {"Retry-After"}, 503: {"Retry-After"}}.get(response.status_code, set())
        missing = always - set(response.headers.keys())
        assert missing == set(), f"{response.status} without {missing}"
        strange = set(response.headers.keys()) - set(headers) - PLUMBING
        assert strange == set(), f"{response.status} with {strange}, which are not documented"
        for name in set(headers) & set(response.headers.keys()):
            value = response.headers[name]
            assert headers[name]["schema"]["type"] == "string" or re.fullmatch("[0-9]+", value), f"{name}: {value}"


def _at(content: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        content = content[step.replace("~1", "/").replace("~0", "~")]
    return content


def _pattern(path: str) -> str:
    """Match what a path's parameters stand for: all are UUIDs but the name of a tag."""
    return re.sub(r"\{\w+\}", "[0-9a-fA-F-]{36}", path.replace("{name}", "[^/]+"))


def _as_kept(sent: Any) -> Any:
    """Trim and compose texts, as is done before they are measured."""
    if isinstance(sent, dict):
        return {name: _as_kept(value) for name, value in sent.items()}
    if isinstance(sent, list):
        return [_as_kept(value) for value in sent]
    return unicodedata.normalize("NFC", sent.strip()) if isinstance(sent, str) else sent
