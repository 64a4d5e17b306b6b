"""Flask answering the very bytes that taskapp answers, and doing nothing for it: how fast any Flask application can be."""

import os
from pathlib import Path

from flask import Flask, Response, request

PAGE = Path(os.environ["BENCH_PAGE"]).read_bytes()
TASK = Path(os.environ["BENCH_TASK"]).read_bytes()

app = Flask(__name__)


@app.get("/v1/tasks")
def list_tasks() -> Response:
    """Answer a page of 50 tasks."""
    return Response(PAGE, mimetype="application/json")


@app.post("/v1/tasks")
def create_task() -> Response:
    """Read a body and answer a task."""
    request.get_data()
    return Response(TASK, 201, mimetype="application/json")


@app.get("/v1/tasks/<uuid:task_id>")
def get_task(task_id: object) -> Response:
    """Answer a task."""
    return Response(TASK, mimetype="application/json")


@app.patch("/v1/tasks/<uuid:task_id>")
def update_task(task_id: object) -> Response:
    """Read a body and answer a task."""
    request.get_data()
    return Response(TASK, mimetype="application/json")
