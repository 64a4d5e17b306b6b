"""Swagger UI, and a page for each kind of problem."""

from importlib.resources import files

from flask import Blueprint, Response, render_template, send_from_directory
from werkzeug.exceptions import NotFound

from taskapp.api.problems import PROBLEMS

blp = Blueprint("docs", __name__, static_folder="static", static_url_path="/docs/static", template_folder="templates")

SWAGGER_UI = str(files("flask_swagger_ui") / "dist")

# Nothing from another host, no inline script. Swagger UI draws its icons from data: URLs.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blp.after_request
def guard(response: Response) -> Response:
    """Hold the browser to our own assets."""
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response


@blp.get("/docs")
def docs() -> str:
    """Show Swagger UI."""
    return render_template("docs.html")


@blp.get("/docs/assets/<name>")
def swagger_asset(name: str) -> Response:
    """Serve one of Swagger UI's files."""
    return send_from_directory(SWAGGER_UI, name, max_age=3600)


@blp.get("/problems/<name>")
def problem(name: str) -> str:
    """Explain a kind of problem: where the `type` of each problem document leads."""
    code = name.replace("-", "_")
    if code not in PROBLEMS:
        raise NotFound
    return render_template("problem.html", code=code, kind=PROBLEMS[code])
