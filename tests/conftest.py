"""What every test can count on: no setting from outside, no leaked context, an application."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from erlen import Erlen
    from erlen.testing import FlaskClient

# A shell without job control has its background commands ignore the signal, as do their children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

FRAMEWORKS = ("erlen", "flask")

#: How the test clients of this run carry requests; unset, `client` and `transport` go both ways.
TRANSPORT = os.environ.get("ERLEN_TEST_TRANSPORT")
TRANSPORTS = (TRANSPORT,) if TRANSPORT else ("wsgi", "asgi")


def pop_leaked_contexts(package: str) -> list[str]:
    """Pop what a test left pushed in one of the frameworks, and name it."""
    ctx, names = sys.modules.get(f"{package}.ctx"), sys.modules.get(f"{package}.globals")
    leaked: list[str] = []
    if ctx is None or names is None:
        return leaked
    for kind, is_pushed, proxy in (
        ("request", ctx.has_request_context, names.request_ctx),
        ("application", ctx.has_app_context, names.app_ctx),
    ):
        while is_pushed():
            context = proxy._get_current_object()
            leaked.append(f"{package}: {kind} context {context!r}")
            context.pop()
    return leaked


@pytest.fixture(autouse=True)
def no_leaked_context() -> Iterator[None]:
    """Fail the test that leaves a context pushed, and keep the next one clean."""
    yield
    leaked = [name for package in FRAMEWORKS for name in pop_leaked_contexts(package)]
    if leaked:
        pytest.fail("a context was left pushed: " + "; ".join(leaked))


@pytest.fixture(autouse=True)
def enabled_loggers() -> Iterator[None]:
    """Loggers belong to the process and go by name: one that a test silenced speaks again."""
    yield
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the shell that runs the tests must not reach the applications under test."""
    for name in [n for n in os.environ if n.startswith(("FLASK_", "ERLEN_", "WERKZEUG_"))]:
        monkeypatch.delenv(name)
    if TRANSPORT:
        monkeypatch.setenv("ERLEN_TEST_TRANSPORT", TRANSPORT)


@pytest.fixture
def app() -> Erlen:
    """An application in testing mode, with a secret key."""
    from erlen import Erlen

    app = Erlen("test_app", root_path=os.path.dirname(__file__))
    app.config.update(TESTING=True, SECRET_KEY="test key")
    return app


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """WSGI and ASGI in turn, for all clients that the test makes."""
    name: str = request.param
    monkeypatch.setenv("ERLEN_TEST_TRANSPORT", name)
    return name


@pytest.fixture
def client(app: Erlen, transport: str) -> FlaskClient:
    return app.test_client()


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> ModuleType:
    """Erlen and the real Flask in turn: what the test says has to hold for both."""
    name: str = request.param
    return pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.fixture
def real_flask() -> ModuleType:
    """The real Flask, as the oracle of a differential test."""
    return pytest.importorskip("flask", reason="Flask is not installed")


@pytest.fixture
def run_python(tmp_path: os.PathLike[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code (or, with more arguments, a command line) in a fresh interpreter."""

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = ["-c", *args] if len(args) == 1 else list(args)
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("FLASK_", "ERLEN_TEST_"))
        }
        return subprocess.run(
            [sys.executable, *argv],
            cwd=tmp_path,
            env={**inherited, **env},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run
