"""`python -m benchmarks.departures`: clients that leave at random moments leave nothing behind.

In process, with a server of the benchmark's own, unless servers are named. Exit code 1 where
something is left: a task, a greenlet, a context, an open file, a connection, memory.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc

from . import inprocess, sockets


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.departures", description=__doc__)
    parser.add_argument("servers", nargs="*", choices=[[], *sockets.COMMANDS], default=[])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--trace", action="store_true", help="trace Python's memory, in process")
    options = parser.parse_args()
    faults = []
    begun = time.perf_counter()
    if options.servers:
        for server in options.servers:
            print(f"{server}: {options.clients} clients")
            faults += [f"{server}: {fault}" for fault in sockets.run(server, options.clients)]
    else:
        if options.trace:
            tracemalloc.start()
        faults = inprocess.run(options.clients)
    print(*(f"FAULT {fault}" for fault in faults[:20]), sep="\n")
    print(f"{len(faults)} faults in {time.perf_counter() - begun:.1f} s")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
