#!/usr/bin/env python3
"""SuiteSparse:GraphBLAS (C) on the graph that superstep made, on one thread. Its algorithms are written here, of
its products of a matrix and a vector."""

import graphblas as gb
import numpy as np
from graphblas import Matrix, Vector, binary, monoid, semiring

import walk

UNREACHED = float(2**32 - 1)


class PageRank:
    def __init__(self, graph):
        n = graph.vertices
        src, dst = graph.src.astype(np.uint64), graph.dst.astype(np.uint64)
        self.n = n
        self.backward = Matrix.from_coo(dst, src, 1.0, nrows=n, ncols=n)
        degrees = np.bincount(graph.src, minlength=n)
        share = np.where(degrees > 0, walk.DAMPING / np.maximum(degrees, 1), 0.0)
        self.share = Vector.from_dense(share)
        self.sinks = Vector.from_coo(np.flatnonzero(degrees == 0).astype(np.uint64), 1.0, size=n)

    def run(self):
        rank = Vector.from_scalar(1 / self.n, self.n, dtype=float)
        for _ in range(walk.ITERATIONS):
            lost = float(rank.ewise_mult(self.sinks, binary.first).reduce(monoid.plus).new().value or 0)
            sent = rank.ewise_mult(self.share, binary.times).new()
            base = (1 - walk.DAMPING + walk.DAMPING * lost) / self.n
            rank = Vector.from_scalar(base, self.n, dtype=float)
            rank(binary.plus) << self.backward.mxv(sent, semiring.plus_second)
        return rank

    def dense(self, rank):
        return rank.to_dense()


class Hops:
    def __init__(self, graph):
        n = graph.vertices
        src, dst = graph.src.astype(np.uint64), graph.dst.astype(np.uint64)
        self.n, self.source = n, graph.source()
        self.forward = Matrix.from_coo(src, dst, True, nrows=n, ncols=n)
        self.backward = self.forward.T.new()

    def run(self):
        levels, front, depth = Vector(int, self.n), Vector.from_coo([self.source], True, size=self.n), 0
        while front.nvals:
            levels(front.S) << depth
            depth += 1
            pushed = front.nvals < self.n // 16
            step = front.vxm(self.forward, semiring.any_pair) if pushed else self.backward.mxv(front, semiring.any_pair)
            front(~levels.S, replace=True) << step
        return levels

    def dense(self, levels):
        return levels.to_dense(fill_value=UNREACHED, dtype=float)


def main():
    shapes = {"pagerank": PageRank, "hops": Hops}
    options = walk.arguments([*shapes])
    gb.ss.config["nthreads"] = 1
    before = walk.status_mb("VmRSS")
    graph = walk.Graph(options)
    algorithm = shapes[options.shape](graph)
    # What is compiled when it is first needed is no part of the walk.
    algorithm.run()
    graph.drop_ends()
    walk.reset_peak()
    cpu, wall, found = walk.measured(algorithm.run, options.runs)
    grown = walk.status_mb("VmHWM") - before
    walk.report("graphblas", options, graph, cpu, wall, algorithm.dense(found), grown)


main()
