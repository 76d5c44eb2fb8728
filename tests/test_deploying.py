"""The commands of docs/deploying.md start a server that answers."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Server, free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

TEXT = (Path(__file__).parent.parent / "docs" / "deploying.md").read_text()

CONSOLE = [
    shlex.split(line)
    for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    for line in re.findall(r"^\$ (.*)", block, re.MULTILINE)
]
(CONTAINER,) = (json.loads(found) for found in re.findall(r"^CMD (.*)", TEXT, re.MULTILINE))
(SERVICE,) = (shlex.split(found) for found in re.findall(r"^ExecStart=(.*)", TEXT, re.MULTILINE))

COMMANDS = [command for command in (*CONSOLE, CONTAINER, SERVICE) if command[0] != "pip"]


class Documented(Server):
    """A server that is started as the page says, but for the address."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.unix = None
        self.port = free_port()
        env = {}
        while "=" in command[0]:
            name, _, value = command[0].partition("=")
            env[name], command = value, command[1:]
        program = shutil.which(Path(command[0]).name, path=sysconfig.get_path("scripts"))
        if program is None:
            pytest.skip(f"{command[0]} is not installed")
        args = [program]
        for arg in command[1:]:
            if arg.startswith("unix:"):
                self.unix = folder / "app.sock"
                arg = f"unix:{self.unix}"
            if arg == "8000":
                arg = str(self.port)
            args.append(re.sub(r"(?:127\.0\.0\.1|0\.0\.0\.0):8000", f"127.0.0.1:{self.port}", arg))
        self.start(args, folder, env)


@pytest.fixture
def documented(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Documented]:
    command: list[str] = request.param
    module = "flask" if "ERLEN_AS_FLASK=1" in command else "erlen"
    (tmp_path / "myapp.py").write_text(
        f"from {module} import Flask\n"
        "app = Flask(__name__)\n"
        "@app.get('/')\n"
        "async def index():\n"
        "    return Flask.mro()[0].__module__\n"
    )
    server = Documented(command, tmp_path)
    yield server
    server.stop()


@pytest.mark.parametrize("documented", COMMANDS, indirect=True, ids=" ".join)
def test_command_starts_a_server_that_answers(documented: Documented) -> None:
    with documented.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body.startswith(b"erlen.")
