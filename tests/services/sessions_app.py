"""A login kept by Flask-Session, and views kept by Flask-Caching, in Redis or memcached."""

from __future__ import annotations

import os
import typing as t

from flask import Flask, redirect, request, session, url_for
from flask_caching import Cache
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user
from flask_session import Session
from redis import Redis

app = Flask(__name__)
redis = Redis.from_url(os.environ["REDIS"])
app.config.update(
    SECRET_KEY="key of a test",
    SESSION_TYPE="redis",
    SESSION_REDIS=redis,
    SESSION_KEY_PREFIX="sessions:",
)
if "MEMCACHED" in os.environ:
    app.config.update(
        CACHE_TYPE="MemcachedCache", CACHE_MEMCACHED_SERVERS=[os.environ["MEMCACHED"]]
    )
else:
    app.config.update(CACHE_TYPE="RedisCache", CACHE_REDIS_URL=os.environ["REDIS"])
Session(app)
cache = Cache(app)
login = LoginManager(app)


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


@login.user_loader
def load(name: str) -> User:
    return User(name)


@app.get("/pid")
def pid() -> t.Any:
    return {"pid": os.getpid()}


@app.post("/login")
def log_in() -> t.Any:
    login_user(User(request.form["name"]))
    session["steps"] = []
    return redirect(url_for("me"))


@app.get("/me")
@login_required
def me() -> t.Any:
    return {"name": current_user.id, "pid": os.getpid(), "steps": session["steps"]}


@app.post("/plain/step")
@login_required
def step() -> t.Any:
    session["steps"].append(os.getpid())
    session.modified = True
    return {"pid": os.getpid(), "count": len(session["steps"])}


@app.post("/async/step")
@login_required
async def step_later() -> t.Any:
    session["steps"].append(os.getpid())
    session.modified = True
    return {"pid": os.getpid(), "count": len(session["steps"])}


@app.post("/logout")
def log_out() -> t.Any:
    session.clear()
    return ""


@app.get("/plain/kept")
@cache.cached(timeout=60, query_string=True)
def kept() -> t.Any:
    return {"computed": redis.incr("computed"), "of": request.args["of"]}


@app.get("/async/kept")
@cache.cached(timeout=60, query_string=True)
async def kept_later() -> t.Any:
    return {"computed": redis.incr("computed"), "of": request.args["of"]}


@cache.memoize(60)
def doubled(number: int) -> list[int]:
    return [2 * number, redis.incr("computed")]


@app.get("/doubled/<int:number>")
def show_doubled(number: int) -> t.Any:
    return doubled(number)


@app.delete("/doubled/<int:number>")
def forget_doubled(number: int) -> t.Any:
    cache.delete_memoized(doubled, number)
    return "", 204
