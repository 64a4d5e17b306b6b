"""Our application with one more operation, whose statements are put together by hand. A test serves it as `wsgi.py`."""

from flask import request
from sqlalchemy import text

from taskapp import create_app
from taskapp.database.databases import api

app = create_app()


def count(name: str) -> int:
    (row,) = api().execute(text(f"SELECT count(*) AS n FROM pg_class WHERE relname = '{name}'"))
    n: int = row.n
    return n


@app.post("/vulnerable/<name>")
def vulnerable(name: str) -> dict[str, list[int]]:
    sent = [name, request.args["q"], request.json["title"], request.headers["If-Match"]]
    return {"n": [count(value) for value in sent]}
