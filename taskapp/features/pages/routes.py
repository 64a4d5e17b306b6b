"""The pages for people: a beginning, Swagger UI, and each kind of problem explained."""

from importlib.metadata import version
from importlib.resources import files

import orjson
from flask import Blueprint, Response, make_response, render_template, request, send_from_directory
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from taskapp.web.current_config import settings
from taskapp.web.openapi.problem_examples import example
from taskapp.web.proxy.path_prefix import MOUNTED, public_path, public_url
from taskapp.web.requests.field_errors import FIELD_ERRORS
from taskapp.web.responses.problems import PROBLEMS
from taskapp.web.responses.response_headers import DOCUMENT

blp = Blueprint("docs", __name__, static_folder="static", static_url_path="/docs/static", template_folder="templates")

SWAGGER_UI = str(files("flask_swagger_ui") / "dist")
SWAGGER_UI_VERSION = version("flask-swagger-ui")
_YEAR_SECONDS = 365 * 24 * 60 * 60

# Nothing from another host, no inline script. Swagger UI draws its icons from data: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blp.after_request
def guard(response: Response) -> Response:
    """Hold the browser to our own assets, and let it ask for a page again each time: the next release may change it."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    if response.status_code < 400:
        response.headers.setdefault("Cache-Control", "no-cache")
    return response


blp.add_app_template_global(public_path)


@blp.app_template_filter()
def with_code(text: str) -> Markup:
    """Set what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


@blp.get("/")
def home() -> Response:
    """Say what this is, and how to begin. Programs find the document by the links of RFC 8631."""
    config = settings()
    # Never the Host header: a cache could keep a page that sends passwords to another host.
    api = public_url() if config.public_url else f"http://{config.host}:{config.port}{request.environ[MOUNTED]}"
    page = render_template("home.html", api=api, problems=public_url(), seconds=config.access_token_seconds)
    response = make_response(page)
    links = {DOCUMENT: "service-desc", "/docs": "service-doc", "/healthz": "status"}
    response.headers["Link"] = ", ".join(f'<{public_path(path)}>; rel="{rel}"' for path, rel in links.items())
    return response


@blp.get("/docs")
def docs() -> str:
    """Show Swagger UI."""
    return render_template("docs.html", version=SWAGGER_UI_VERSION)


@blp.get("/docs/assets/<name>")
def swagger_asset(name: str) -> Response:
    """Serve one of Swagger UI's files; under the address that names its version, for good."""
    if request.args.get("v") != SWAGGER_UI_VERSION:
        return send_from_directory(SWAGGER_UI, name)
    response = send_from_directory(SWAGGER_UI, name, max_age=_YEAR_SECONDS)
    response.cache_control.immutable = True
    return response


@blp.get("/problems/", strict_slashes=False)
def problems() -> str:
    """List the kinds of problems."""
    return render_template("problems.html", problems=PROBLEMS)


@blp.get("/problems/<name>")
def problem(name: str) -> str:
    """Explain a kind of problem: where the `type` of each problem document leads."""
    code = name.replace("-", "_")
    if code not in PROBLEMS:
        raise NotFound
    return render_template(
        "problem.html",
        code=code,
        kind=PROBLEMS[code],
        example=orjson.dumps(example(code, public_url(), public_path("")), option=orjson.OPT_INDENT_2).decode(),
        field_errors=FIELD_ERRORS if code == "validation_error" else {},
    )
