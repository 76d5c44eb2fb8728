"""The production server stops: no signal is lost, requests finish, dead workers are replaced."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from serving import Meeting, Server, running, wait_until

from erlen.server.stopping import hear_on_threads

live = pytest.mark.live


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.close()


@live
@pytest.mark.parametrize(("interface", "loading"), [("wsgi", 3), ("asgi", 3), ("auto", 1)])
def test_server_can_be_stopped_while_the_application_is_loaded(
    tmp_path: Path, meeting: Meeting, interface: str, loading: int
) -> None:
    (tmp_path / "loading.py").write_text(
        "import socket\n"
        f"socket.create_connection(('127.0.0.1', {meeting.port})).recv(1)\n"
        "from serving_app import app\n"
    )
    options = ("--interface", interface)
    with running(
        "granian", app="loading", cwd=tmp_path, workers=3, wait=False, options=options
    ) as server:
        for _ in range(loading):
            meeting.wait_for_call()
        server.terminate()
        server.output()
        assert server.process.returncode == 0


def test_no_signal_to_a_new_worker_is_lost(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python(
        "-c",
        "import os, signal\n"
        "from erlen.server.stopping import workers_stop_while_starting\n"
        "signal.signal(signal.SIGTERM, lambda *_: None)\n"
        "with workers_stop_while_starting():\n"
        "    for _ in range(20):\n"
        "        worker = os.fork()\n"
        "        if not worker:\n"
        "            signal.pause()\n"
        "        os.kill(worker, signal.SIGTERM)\n"
        "        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n",
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_worker_hears_a_signal_while_its_main_thread_is_not_woken(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_python(
        "-c",
        "import signal, threading\n"
        "from erlen.server.stopping import _handle_on_thread\n"
        "stopped = threading.Event()\n"
        "_handle_on_thread(stopped.set)\n"
        "def kill():\n"
        "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
        "threading.Thread(target=kill).start()\n"
        "print(stopped.wait(20))\n",
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
@pytest.mark.parametrize("moment", ["before", "between", "while"])
def test_worker_hears_a_signal_whether_its_loop_runs_or_not(
    loops: str, moment: str, run_python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    pytest.importorskip(loops)
    done = run_python(
        "-c",
        f"import asyncio, os, signal, {loops}\n"
        "from erlen.server.stopping import _first_call_of, _handle\n"
        f"loop = {loops}.new_event_loop()\n"
        "heard = []\n"
        "def kill(now):\n"
        f"    if now == {moment!r}:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "async def main():\n"
        "    kill('while')\n"
        "    await asyncio.sleep(0)\n"
        "_handle(_first_call_of(lambda: heard.append(True)), loop)\n"
        "kill('before')\n"
        "loop.run_until_complete(asyncio.sleep(0))\n"
        "kill('between')\n"
        "loop.run_until_complete(main())\n"
        "loop.run_until_complete(asyncio.sleep(0.01))\n"
        "print(heard)\n",
    )
    assert (done.stdout, done.stderr) == ("[True]\n", "")


@live
def test_running_request_finishes_however_often_the_server_is_interrupted(meeting: Meeting) -> None:
    with running("granian") as server, server.connect() as connection:
        connection.sendall(f"GET /gate?port={meeting.port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        view = meeting.wait_for_call()
        # As a terminal does for Ctrl-C, to the workers as well. Each is heard before the next.
        os.killpg(server.process.pid, signal.SIGINT)
        server.wait_for_line("Stopping worker-1")
        for number in (signal.SIGINT, signal.SIGTERM):
            os.killpg(server.process.pid, number)
        view.sendall(b"!")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        output = server.output()
        assert server.process.returncode == 0, output


@live
def test_request_that_does_not_end_is_cut_off(meeting: Meeting) -> None:
    with running("granian", options=("--grace", "1")) as server, server.connect() as connection:
        connection.sendall(f"GET /gate?port={meeting.port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        meeting.wait_for_call()
        server.terminate()
        assert "Killing worker-1" in server.output()
        assert connection.recv(100) == b""


def worker_of(server: Server) -> int | None:
    """The worker that answers a request; None if it died over it."""
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        return int(json.loads(server.fetch("GET", "/work")[1])["pid"])
    return None


@live
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_many_signals_do_no_harm(number: signal.Signals) -> None:
    with running("granian") as server:
        for _ in range(500):
            server.process.send_signal(number)
        if number == signal.SIGHUP:
            assert worker_of(server) is not None
            server.terminate()
        output = server.output()
        assert server.process.returncode == 0, output


@pytest.mark.parametrize("name", ["interrupt", "reload"])
def test_a_signal_is_not_forgotten_while_a_worker_is_renewed(name: str) -> None:
    granian = SimpleNamespace(interrupt_signal=False, reload_signal=False)
    granian.signal_handler_interrupt = granian.signal_handler_reload = lambda: None
    hear_on_threads(granian)
    event = granian.main_loop_interrupt
    event.set()
    event.clear()
    assert not event.is_set()
    setattr(granian, f"{name}_signal", True)
    event.set()
    event.clear()
    assert event.is_set()
    setattr(granian, f"{name}_signal", False)
    event.clear()
    assert not event.is_set()


@live
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc whether a process has ended")
def test_worker_that_hears_the_signal_first_has_not_failed() -> None:
    with running("granian") as server:
        worker = worker_of(server)
        assert worker is not None
        server.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{server.process.pid}/task")
        wait_until(lambda: {*map(state_of, tasks.iterdir())} == {"T"}, server.process)
        os.kill(worker, signal.SIGINT)
        wait_until(lambda: state_of(Path(f"/proc/{worker}")) == "Z", server.process)
        server.process.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGCONT)
        output = server.output()
        assert server.process.returncode == 0, output


def state_of(task: Path) -> str:
    """A letter of `man 5 proc`: T is stopped, Z has ended and was not waited for."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


@live
def test_worker_that_dies_is_replaced() -> None:
    with running("granian", workers=2) as server:
        workers = iter(lambda: worker_of(server), 0)
        first = {next(workers)}
        while len(first) < 2:
            first.add(next(workers))
        os.kill(min(filter(None, first)), signal.SIGKILL)
        assert next(worker for worker in workers if worker not in {None, *first})


@live
def test_workers_are_renewed_on_hangup() -> None:
    with running("granian") as server:
        first = worker_of(server)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("Stopped old worker-1")
        assert worker_of(server) not in {None, first}
