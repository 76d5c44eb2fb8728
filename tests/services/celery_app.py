"""Tasks of Celery as Flask's documentation has them; `flask` is Erlen's alias."""

from __future__ import annotations

import os
import typing as t

from celery import Celery, Task, shared_task
from celery.result import AsyncResult
from flask import Flask, current_app, g, has_request_context, request

torn_down: list[str | None] = []


def celery_init_app(app: Flask) -> Celery:
    class FlaskTask(Task):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["GREETING"] = "Hello"
    app.config.from_mapping(
        CELERY={
            "broker_url": os.environ["REDIS"],
            "result_backend": os.environ["REDIS"],
            "task_track_started": True,
        }
    )
    celery_init_app(app)

    @app.teardown_appcontext
    def note(error: BaseException | None) -> None:
        torn_down.append(g.get("name"))

    @app.post("/greetings/<name>")
    def begin(name: str) -> t.Any:
        return {"id": greet.delay(name, request.args.get("times", 1, type=int)).id}, 202

    @app.post("/later/greetings/<name>")
    async def begin_later(name: str) -> t.Any:
        return {"id": greet.delay(name, 1).id}, 202

    @app.post("/failures")
    def begin_failure() -> t.Any:
        return {"id": fail.delay().id}, 202

    @app.get("/results/<id>")
    def result(id: str) -> t.Any:
        found = AsyncResult(id)
        return {"state": found.state, "value": found.result if found.successful() else None}

    return app


@shared_task
def greet(name: str, times: int) -> t.Any:
    g.name = name
    said = ", ".join([f"{current_app.config['GREETING']} {name}"] * times)
    return {
        "said": said,
        "framework": type(current_app._get_current_object()).__module__,  # type: ignore[attr-defined]
        "in a request": has_request_context(),
        "torn down": [*torn_down],
    }


@shared_task
def fail() -> None:
    g.name = "fail"
    raise LookupError("asked for")


flask_app = create_app()
celery_app = flask_app.extensions["celery"]
