"""An application of coroutine views that use Flask's extensions; `flask` is Erlen's alias."""

from __future__ import annotations

import asyncio
import os
import threading
import typing as t

import flask_login
from flask import Flask, Response, g, session, stream_with_context
from flask_caching import Cache
from flask_login import current_user, login_required, login_user
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import pool, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

app = Flask(__name__)
app.config.update(
    SECRET_KEY="key of a test",
    SQLALCHEMY_DATABASE_URI=f"sqlite:///{os.environ['DATABASE']}",
    SQLALCHEMY_ENGINE_OPTIONS={
        "poolclass": pool.QueuePool,
        "pool_size": 5,
        "max_overflow": 0,
        "pool_timeout": 1,
        "connect_args": {"check_same_thread": False},
    },
    CACHE_TYPE="SimpleCache",
)


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(app, model_class=Base)
cache = Cache(app)
login = flask_login.LoginManager(app)
counts = {"computed": 0, "torn down": 0}
closed: list[str] = []


class User(flask_login.UserMixin, db.Model):  # type: ignore[name-defined,misc]
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


with app.app_context():
    db.create_all()
    if db.session.get(User, 1) is None:
        db.session.add(User(id=1, name="Ada"))
        db.session.commit()


@login.user_loader
def load_user(key: str) -> t.Any:
    return db.session.get(User, int(key))


@app.teardown_appcontext
def count(error: BaseException | None) -> None:
    counts["torn down"] += 1


async def thread_of_loop() -> int:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: future.set_result(threading.get_ident()))
    return t.cast("int", await future)


@app.route("/place")
async def place() -> t.Any:
    # A check between two waits that the thread stays what it is.
    here = threading.get_ident()
    loop = await thread_of_loop()
    return {
        "here": here,
        "afterwards": threading.get_ident(),
        "loop": loop,
        "threads": threading.active_count(),
    }


@app.route("/login", methods=["POST"])
async def log_in() -> t.Any:
    login_user(db.session.get(User, 1))
    await asyncio.sleep(0)
    return {"name": current_user.name, "id": session["_user_id"]}


@app.route("/me")
@login_required
async def me() -> t.Any:
    before = current_user.name
    await asyncio.sleep(0)
    return {"names": [before, current_user.name], "thread": threading.get_ident()}


@app.route("/query")
async def query() -> t.Any:
    """A query, and the same session again after a wait and in tasks of the view's own."""
    first = db.session()
    name = db.session.execute(select(User.name)).scalar_one()
    # Whoever waits for a connection blocks the loop: none is to be kept while others have a turn.
    db.session.commit()
    await asyncio.sleep(0.001)
    mine = db.session()

    async def in_task() -> t.Any:
        await asyncio.sleep(0)
        return db.session()

    others = await asyncio.gather(in_task(), in_task())
    return {
        "name": name,
        "one session": all(other is first for other in (mine, *others)),
        "thread": threading.get_ident(),
    }


@app.route("/cached")
@cache.cached(timeout=60)
async def cached() -> str:
    await asyncio.sleep(0)
    counts["computed"] += 1
    return f"computed {counts['computed']} on {threading.get_ident()}"


@app.route("/kept/<name>")
async def kept(name: str) -> t.Any:
    value = cache.get(name)
    if value is None:
        await asyncio.sleep(0)
        cache.set(name, f"{name} of {current_user.is_authenticated}")
    return {"found": value}


@app.route("/events/<kind>")
async def events(kind: str) -> Response:
    g.name = db.session.execute(select(User.name)).scalar_one()
    first = g.name

    async def stream() -> t.AsyncIterator[str]:
        try:
            yield f"data: {first}\n\n"
            with app.app_context():
                name = db.session.execute(select(User.name)).scalar_one()
            yield f"data: {name}\n\n"
            await asyncio.Event().wait()
        finally:
            closed.append(kind)

    async def stream_in_context() -> t.AsyncIterator[str]:
        try:
            yield f"data: {g.name}\n\n"
            name = db.session.execute(select(User.name)).scalar_one()
            db.session.commit()
            yield f"data: {name}\n\n"
            await asyncio.Event().wait()
        finally:
            closed.append(kind)

    body = stream() if kind == "plain" else stream_with_context(stream_in_context())
    return Response(body, mimetype="text/event-stream")


@app.route("/fails")
async def fails() -> t.Any:
    db.session.execute(select(User.name)).scalar_one()
    await asyncio.sleep(0)
    raise RuntimeError("after a query")


@app.route("/state")
async def state() -> t.Any:
    return {
        "checked out": db.engine.pool.checkedout(),
        "sessions": len(db.session.registry.registry),
        "closed": len(closed),
        "threads": threading.active_count(),
        **counts,
    }
