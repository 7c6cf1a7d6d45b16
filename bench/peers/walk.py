"""What the peers of graph algorithms have in common: the graph that superstep made, the measured region, and the
comparison with what superstep found."""

import argparse
import json
import os
import statistics
import tempfile
import time

import numpy as np

ITERATIONS = 20
DAMPING = 0.85
TOLERANCE = 1e-6
"""The most that answers may differ, relative to their sum."""


def arguments(shapes):
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", required=True, choices=shapes)
    parser.add_argument("--scale", type=int, default=18)
    parser.add_argument("--runs", type=int, default=5, help="the median run is reported, by CPU time")
    return parser.parse_args()


class Graph:
    """The ends of its edges, in the order in which superstep wrote them."""

    def __init__(self, options):
        self.folder = os.path.join(tempfile.gettempdir(), f"rmat-{options.scale}")
        self.vertices = 1 << options.scale
        self.src = np.fromfile(os.path.join(self.folder, "src.u32"), np.uint32)
        self.dst = np.fromfile(os.path.join(self.folder, "dst.u32"), np.uint32)
        self.edges = len(self.src)

    def drop_ends(self):
        self.src = self.dst = None

    def source(self):
        """The vertex with the most edges, the last of several."""
        degrees = np.bincount(self.src, minlength=self.vertices)
        return int(np.flatnonzero(degrees == degrees.max())[-1])


def measured(run, count):
    """The wall and CPU seconds of the median run by CPU, and what the last one found."""
    runs = []
    for _ in range(count):
        cpu, wall = time.process_time(), time.perf_counter()
        found = run()
        runs.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = sorted(runs)[len(runs) // 2]
    return cpu, wall, found


def reset_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def status_mb(member):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(member))


def off(graph, shape, found):
    """How far an answer is from that of superstep: the sum of differences over the sum of values."""
    wanted = np.fromfile(os.path.join(graph.folder, f"{shape}.f64"), np.float64)
    difference = np.abs(wanted - found).sum() / np.abs(wanted).sum()
    if not difference <= TOLERANCE:
        raise SystemExit(f"the answer differs from that of superstep by {difference}")
    return difference


def report(peer, options, graph, cpu, wall, found, grown_mb, rss_mb=None):
    print(json.dumps({
        "peer": peer,
        "shape": options.shape,
        "scale": options.scale,
        "edges": graph.edges,
        "walked_edges": graph.edges * (ITERATIONS if options.shape == "pagerank" else 1),
        "wall_s": wall,
        "cpu_s": cpu,
        "difference": off(graph, options.shape, found),
        "grown_bytes": grown_mb * 2**20,
        "rss_mb": rss_mb or status_mb("VmHWM"),
    }))
