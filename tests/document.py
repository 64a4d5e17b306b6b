"""The published document, and real responses held against it."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from werkzeug.test import TestResponse

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@cache
def published_by(app: Flask) -> "Document":
    """Read the document that an application publishes."""
    (api,) = (known["ext_obj"] for known in app.extensions["flask-smorest"]["apis"].values())
    return Document(json.loads(json.dumps(api.spec.to_dict())))


class Document:
    """The document, with ways to find one's way in it."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        resource = Resource.from_contents(content, default_specification=DRAFT202012)
        self._validators: dict[str, Any] = {}
        self._registry: Registry[Any] = Registry().with_resource("urn:document", resource)

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
        node: Any = self.content
        for step in reference.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node

    def validate(self, value: Any, reference: str) -> None:
        # `$ref`s within the document are relative to it, so the value is held against it through one more.
        if reference not in self._validators:
            schema = {"$ref": f"urn:document{reference}"}
            self._validators[reference] = Draft202012Validator(
                schema, registry=self._registry, format_checker=FormatChecker()
            )
        self._validators[reference].validate(value)

    def operation_of(self, response: TestResponse) -> dict[str, Any]:
        method, path = response.request.method.lower(), response.request.path
        found: dict[str, Any] = self.content["paths"][self.template_of(path)][method]
        return found

    def template_of(self, path: str) -> str | None:
        fitting = (known for known in self.content["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known), path))
        return next(fitting, None)

    def covers(self, response: TestResponse) -> bool:
        """Tell whether it is an operation's answer, all of which is here."""
        item = self.content["paths"].get(self.template_of(response.request.path), {})
        return response.request.method.lower() in item and not response.is_streamed

    def check(self, response: TestResponse) -> None:
        """Expect what the document promises for this request: status, content type and body."""
        operation = self.operation_of(response)
        responses = operation["responses"]
        promised = self.resolve(responses.get(str(response.status_code)) or responses["default"])
        self._check_headers(response, promised, signed_in=operation.get("security") != [])
        content = promised.get("content", {})
        if not response.data:
            assert content == {}, f"{response.status} without the promised body"
            return
        assert response.mimetype in content, f"{response.status} with an unpromised {response.mimetype}"
        self.validate(response.get_json(), content[response.mimetype]["schema"]["$ref"])

    def _check_headers(self, response: TestResponse, promised: dict[str, Any], signed_in: bool) -> None:
        headers = {name: self.resolve(header) for name, header in promised["headers"].items()}
        always = {name for name, header in headers.items() if header["required"]}
        if signed_in:
            always |= {name for name in headers if name.startswith("RateLimit")}
        missing = {name for name in always if name not in response.headers}
        assert missing == set(), f"{response.status} lacks promised headers"
        if response.status_code < 400:
            unpromised = set(self.content["components"]["headers"]) - set(headers)
            assert {name for name in unpromised if name in response.headers} == set(), f"{response.status} has more headers"
