"""What every agent peer has in common: its arguments, the measured region and the line of JSON at the end."""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time

WIDTH = 100
"""How many runs the shape `concurrent` has at the same time."""


def arguments(shapes, stores, measures=("run",)):
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True, choices=shapes)
    parser.add_argument("--n", type=int, required=True, help="length of a chain or loop, width, size of a state")
    parser.add_argument("--store", default="memory", choices=stores, help="memory keeps nothing, kept keeps it there")
    parser.add_argument("--measure", default=measures[0], choices=measures, help="of each run")
    parser.add_argument("--runs", type=int, default=1, help="the median run is reported")
    return parser.parse_args()


def expected(shape, n):
    """How many supersteps and activations a run of the shape has."""
    return {
        "chain": (n, n),
        "sequential": (n, n),
        "loop": (n, n),
        "fanout": (3, n + 2),
        "concurrent": (WIDTH * n, WIDTH * n),
        "subgraphs": (13, 12 * n),
        "react": (2 * n + 1, 2 * n + 1),
        "wide-state": (5 * rounds(n), 6 * rounds(n)),
        "wide-dict": (5 * rounds(n), 6 * rounds(n)),
        "pydantic-state": (5 * rounds(n), 6 * rounds(n)),
        "branches": (4, 5),
    }[shape]


def rounds(n):
    """How often the graph of the wide shapes goes round until it holds more than `n` messages."""
    messages, events, responses, count = 1, 0, 0, 0
    while messages <= n:
        events += messages
        responses += events
        messages += responses
        count += 1
    return count


@contextlib.contextmanager
def folder():
    """A folder for what a run stores, gone at the end."""
    with tempfile.TemporaryDirectory() as path:
        yield path


def stored_bytes(path):
    """What a folder holds, or a SQLite file with what SQLite keeps beside it."""
    if os.path.isdir(path):
        return sum(entry.stat().st_size for entry in os.scandir(path))
    files = [path + suffix for suffix in ("", "-wal")]
    return sum(os.path.getsize(file) for file in files if os.path.exists(file))


class Clock:
    """Wall and CPU seconds of each run, all threads of the process counted."""

    def __init__(self):
        self.walls, self.cpus = [], []

    @contextlib.contextmanager
    def run(self):
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.walls.append(time.perf_counter() - wall)
        self.cpus.append(time.process_time() - cpu)


def report(peer, options, clock, activations, stored=0):
    """Prints the line of JSON. `activations` is what the peer counted in one run; a wrong count is no result."""
    supersteps, wanted = expected(options.shape, options.n)
    if activations != wanted:
        raise SystemExit(f"{peer} ran {activations} activations, not {wanted}")
    print(json.dumps({
        "peer": peer,
        "shape": options.shape,
        "n": options.n,
        "store": options.store,
        "measure": options.measure,
        "supersteps": supersteps,
        "activations": activations,
        "wall_s": statistics.median(clock.walls),
        "cpu_s": statistics.median(clock.cpus),
        "stored_bytes": stored / options.runs,
        "rss_mb": peak_mb(),
    }))


def peak_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
