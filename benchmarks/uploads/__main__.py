"""`python -m benchmarks.uploads`: a gibibyte to each server, on both protocols.

Raw and as the file of a form, to coroutine views and plain ones. Exit code 1 where an upload adds
more than 64 MiB to the server's memory, or keeps its event loop waiting for more than 20 ms.
"""

from __future__ import annotations

import argparse
import sys

from .measure import COMMANDS, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.uploads", description=__doc__)
    parser.add_argument("servers", nargs="*", help=f"of {', '.join(COMMANDS)}; all if not given")
    parser.add_argument("--mebibytes", type=int, default=1024)
    options = parser.parse_args()
    kept = True
    for server in options.servers or COMMANDS:
        for taken in run(server, options.mebibytes << 20):
            print(taken, "" if taken.is_kept else "OVER", flush=True)
            kept &= taken.is_kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
