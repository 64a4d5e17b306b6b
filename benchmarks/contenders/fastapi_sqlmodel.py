"""The tasks as FastAPI and SQLModel serve them when written the way their own documentation and template do it."""

import datetime as dt
import os
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID, uuid4

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import ARRAY, Column, DateTime, Text, tuple_
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, Session, SQLModel, col, create_engine, select

# With psycopg2, since psycopg 3 costs this application more per request. As many connections as a worker has requests at a
# time here, so that none is opened or closed while it is measured.
engine = create_engine(os.environ["BENCH_DATABASE_URL"], pool_size=16, max_overflow=0)
app = FastAPI()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class User(SQLModel, table=True):
    """Whoever is signed in."""

    __tablename__ = "users"

    id: UUID = Field(primary_key=True)
    email: str = Field(unique=True)


class Due(SQLModel):
    """When a task is due."""

    date: dt.date
    time: dt.time | None = None
    timezone: str | None = None
    at: dt.datetime | None = None


class Task(SQLModel, table=True):
    """The table."""

    __tablename__ = "tasks"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id")
    version: int = 1
    title: str
    notes: str | None = None
    status: str = "open"
    priority: str = "none"
    list_id: UUID | None = None
    parent_id: UUID | None = None
    position: str = ""
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))
    start_date: dt.date | None = None
    due_date: dt.date | None = None
    due_time: dt.time | None = None
    due_timezone: str | None = None
    due_at: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    meta: dict[str, Any] = Field(default_factory=dict, sa_column=Column("metadata", JSONB, nullable=False))
    completed_at: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    created_at: dt.datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    updated_at: dt.datetime = Field(default_factory=_now, sa_type=DateTime(timezone=True))
    deleted_at: dt.datetime | None = Field(default=None, sa_type=DateTime(timezone=True))

    @property
    def etag(self) -> str:
        """The version, as a client sends it back."""
        return f'"{self.version}"'

    @property
    def due(self) -> Due | None:
        """The columns of the due date as one member."""
        if self.due_date is None:
            return None
        return Due(date=self.due_date, time=self.due_time, timezone=self.due_timezone, at=self.due_at)


class TaskPublic(SQLModel):
    """What is answered."""

    id: UUID
    etag: str
    title: str
    notes: str | None
    status: str
    priority: str
    list_id: UUID | None
    parent_id: UUID | None
    position: str
    tags: list[str]
    start_date: dt.date | None
    due: Due | None
    meta: dict[str, str] = Field(serialization_alias="metadata")
    completed_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    deleted_at: dt.datetime | None


class TaskPage(SQLModel):
    """A page of tasks."""

    items: list[TaskPublic]
    next_cursor: str | None


class TaskCreate(SQLModel):
    """A new task."""

    title: str = Field(min_length=1, max_length=500)
    notes: str | None = Field(default=None, max_length=16384)
    priority: str = "none"
    tags: list[str] = Field(default_factory=list, max_length=20)
    start_date: dt.date | None = None
    due: Due | None = None
    meta: dict[str, str] = Field(default_factory=dict, validation_alias="metadata")


class TaskUpdate(SQLModel):
    """What of a task is to change."""

    title: str | None = Field(default=None, min_length=1, max_length=500)
    notes: str | None = Field(default=None, max_length=16384)
    priority: str | None = None
    tags: list[str] | None = Field(default=None, max_length=20)
    start_date: dt.date | None = None
    due: Due | None = None
    meta: dict[str, str] | None = Field(default=None, validation_alias="metadata")


def get_session() -> Iterator[Session]:
    """Open a session for one request."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
TokenDep = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def get_current_user(session: SessionDep, token: TokenDep) -> User:
    """Load whoever the token says is signed in."""
    try:
        claims = jwt.decode(token.credentials, os.environ["BENCH_JWT_KEY"], algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED) from error
    user = session.get(User, UUID(claims["sub"]))
    if user is None:
        raise HTTPException(status.HTTP_401_UNAUTHORIZED)
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


def get_own_task(session: SessionDep, user: CurrentUser, task_id: UUID) -> Task:
    """Load a task, unless it is somebody else's."""
    task = session.get(Task, task_id)
    if task is None or task.user_id != user.id or task.deleted_at is not None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    return task


OwnTask = Annotated[Task, Depends(get_own_task)]


@app.get("/v1/tasks", response_model=TaskPage)
def list_tasks(
    session: SessionDep, user: CurrentUser, limit: Annotated[int, Query(ge=1, le=200)] = 50, cursor: str | None = None
) -> Any:
    """List the user's tasks, newest first."""
    statement = (
        select(Task)
        .where(Task.user_id == user.id, col(Task.deleted_at).is_(None))
        .order_by(col(Task.created_at).desc(), col(Task.id).desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        created_at, task_id = cursor.split(",")
        last = tuple_(dt.datetime.fromisoformat(created_at), UUID(task_id))
        statement = statement.where(tuple_(col(Task.created_at), col(Task.id)) < last)
    tasks = session.exec(statement).all()
    items = tasks[:limit]
    more = len(tasks) > limit
    return {"items": items, "next_cursor": f"{items[-1].created_at.isoformat()},{items[-1].id}" if more else None}


@app.post("/v1/tasks", response_model=TaskPublic, status_code=status.HTTP_201_CREATED)
def create_task(session: SessionDep, user: CurrentUser, body: TaskCreate) -> Any:
    """Create a task."""
    task = Task(**columns(body), user_id=user.id)
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


@app.get("/v1/tasks/{task_id}", response_model=TaskPublic)
def get_task(task: OwnTask) -> Any:
    """Get a task."""
    return task


@app.patch("/v1/tasks/{task_id}", response_model=TaskPublic)
def update_task(session: SessionDep, task: OwnTask, body: TaskUpdate) -> Any:
    """Change a task."""
    task.sqlmodel_update({**columns(body), "version": task.version + 1, "updated_at": _now()})
    session.add(task)
    session.commit()
    session.refresh(task)
    return task


def columns(body: TaskCreate | TaskUpdate) -> dict[str, Any]:
    """Return what was sent, by column."""
    values = body.model_dump(exclude_unset=True)
    if "due" in values:
        due = values.pop("due") or {}
        values |= {f"due_{name}": due.get(name) for name in ("date", "time", "timezone")}
    return values
