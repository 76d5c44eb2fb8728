"""``python -m conformance flask | types | originality | NAME | all``; exits with 0 when it holds.

NAME is an extension whose own tests are run; ``all`` is all of them.
"""

from __future__ import annotations

import argparse
import sys

from . import applications, extensions, flask_suite, originality, typing_suite
from .catalogue import read_catalogue
from .environments import StepFailed

COMMANDS = {
    "flask": (flask_suite, "run Flask's own tests on Erlen, under the alias"),
    "types": (typing_suite, "have mypy and pyright read Flask's type checks for Erlen"),
    "originality": (originality, "measure how much of Erlen's code reads like Flask's"),
    "applications": (applications, "compare applications of other people on Flask and on Erlen"),
    "all": (extensions, "run the tests of all extensions on Erlen, and on the real Flask"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    commands = COMMANDS | {
        name: (extensions, f"run the tests of {suite.project} {suite.version}")
        for name, suite in read_catalogue().items()
    }
    for name, (module, text) in commands.items():
        verb = verbs.add_parser(name, help=text, description=module.__doc__)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    options = parser.parse_args()
    try:
        code: int = options.run(options)
    except StepFailed as error:
        print(f"could not run: {error}", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    raise SystemExit(main())
