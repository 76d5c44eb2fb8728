"""``python -m conformance flask | types | originality``; exits with 0 when the check holds."""

from __future__ import annotations

import argparse
import sys

from . import flask_suite, originality, typing_suite
from .environments import StepFailed

COMMANDS = {
    "flask": (flask_suite, "run Flask's own tests on Erlen, under the alias"),
    "types": (typing_suite, "have mypy and pyright read Flask's type checks for Erlen"),
    "originality": (originality, "measure how much of Erlen's code reads like Flask's"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, (module, text) in COMMANDS.items():
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
