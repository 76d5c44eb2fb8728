"""Plain and coroutine views over one database, with Flask-SQLAlchemy; `flask` is Erlen's alias."""

from __future__ import annotations

import asyncio
import os
import typing as t

from flask import Flask, abort
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

app = Flask(__name__)
app.logger.setLevel("CRITICAL")  # nobody reads of the errors that are made here
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE"]
app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options = {"pool_timeout": 5}
if "POOL" in os.environ:
    from erlen.pools import QueuePool

    options |= {"poolclass": QueuePool, "pool_size": 3, "max_overflow": 0}
if os.environ["DATABASE"].startswith("sqlite"):
    options["connect_args"] = {"timeout": 20, "check_same_thread": False}


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(app, model_class=Base)


class Tea(db.Model):  # type: ignore[name-defined,misc]
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)


with app.app_context():
    db.drop_all()
    db.create_all()


def add(name: str) -> Tea:
    tea = Tea(name=name)
    db.session.add(tea)
    db.session.flush()
    return tea


@app.post("/plain/<name>")
def create(name: str) -> t.Any:
    tea = add(name)
    db.session.commit()
    return {"id": tea.id, "name": tea.name}, 201


@app.post("/async/<name>")
async def create_later(name: str) -> t.Any:
    tea = add(name)
    db.session.commit()
    await asyncio.sleep(0)
    return {"id": tea.id, "name": tea.name}, 201


@app.get("/plain/<name>")
def show(name: str) -> t.Any:
    return {"id": db.first_or_404(select(Tea).filter_by(name=name)).id}


@app.get("/async/<name>")
async def show_later(name: str) -> t.Any:
    return {"id": db.first_or_404(select(Tea).filter_by(name=name)).id}


@app.post("/plain/<name>/failing")
def fail(name: str) -> t.Any:
    add(name)
    raise RuntimeError("after a flush")


@app.post("/async/<name>/failing")
async def fail_later(name: str) -> t.Any:
    add(name)
    await asyncio.sleep(0)
    raise RuntimeError("after a flush")


@app.post("/plain/<name>/left")
def leave(name: str) -> t.Any:
    add(name)
    abort(409)


@app.post("/async/<name>/left")
async def leave_later(name: str) -> t.Any:
    add(name)
    await asyncio.sleep(0)
    abort(409)


@app.get("/plain/wait/<number>")
def wait(number: str) -> t.Any:
    """A connection is kept while others want one."""
    found = db.session.execute(select(func.count()).select_from(Tea)).scalar_one()
    return {"count": found, "session": id(db.session())}


@app.get("/async/wait/<number>")
async def wait_later(number: str) -> t.Any:
    found = db.session.execute(select(func.count()).select_from(Tea)).scalar_one()
    mine = db.session()
    await asyncio.sleep(0.002)
    assert db.session() is mine
    again = db.session.execute(select(func.count()).select_from(Tea)).scalar_one()
    assert again == found
    return {"count": again, "session": id(mine)}


@app.get("/state")
def state() -> t.Any:
    return {
        "dialect": db.engine.dialect.name,
        "driver": db.engine.dialect.driver,
        "pool": type(db.engine.pool).__module__,
        "checked out": db.engine.pool.checkedout(),
        "sessions": len(db.session.registry.registry),
    }
