"""What every agent peer has in common: its arguments, the measured region and the line of JSON at the end."""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True, choices=["chain", "loop", "fanout"])
    parser.add_argument("--n", type=int, required=True, help="vertices of the chain, rounds of the loop, width")
    parser.add_argument("--store", default="memory", choices=["memory", "sqlite"])
    parser.add_argument("--runs", type=int, default=1, help="the median run is reported")
    return parser.parse_args()


def expected(shape, n):
    """How many supersteps and activations a run of the shape has."""
    return (3, n + 2) if shape == "fanout" else (n, n)


@contextlib.contextmanager
def database(store):
    """Path of a fresh SQLite file, or None; the file and what SQLite keeps beside it go at the end."""
    if store == "memory":
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "checkpoints.db")


def stored_bytes(path):
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


def report(peer, options, clock, activations, stored):
    """Prints the line of JSON. `activations` is what the peer counted in one run; a wrong count is no result."""
    supersteps, wanted = expected(options.shape, options.n)
    if activations != wanted:
        raise SystemExit(f"{peer} ran {activations} activations, not {wanted}")
    wall, cpu = statistics.median(clock.walls), statistics.median(clock.cpus)
    print(json.dumps({
        "peer": peer,
        "shape": options.shape,
        "n": options.n,
        "store": options.store,
        "supersteps": supersteps,
        "activations": activations,
        "wall_s": wall,
        "cpu_s": cpu,
        "us_per_superstep": wall / supersteps * 1e6,
        "cpu_us_per_superstep": cpu / supersteps * 1e6,
        "stored_bytes_per_superstep": stored / (supersteps * options.runs),
        "rss_mb": resident_mb(),
    }))


def resident_mb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
