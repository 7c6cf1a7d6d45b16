#!/usr/bin/env python3
"""NetworKit (C++) on the graph that superstep made, on one thread."""

import networkit as nk
import numpy as np

import walk

UNREACHED = float(2**32 - 1)


def pagerank(graph, _source):
    sinks = nk.centrality.SinkHandling.DistributeSinks
    # A tolerance that is never met: all iterations are made.
    rank = nk.centrality.PageRank(graph, damp=walk.DAMPING, tol=1e-300, normalized=False, distributeSinks=sinks)
    rank.maxIterations = walk.ITERATIONS
    rank.run()
    return np.array(rank.scores())


def components(graph, _source):
    found = nk.components.WeaklyConnectedComponents(graph)
    found.run()
    return found


def hops(graph, source):
    search = nk.distance.BFS(graph, source, storePaths=False)
    search.run()
    return np.array(search.getDistances())


def smallest(found, vertices):
    """Each vertex's component by the smallest vertex in it, as superstep names it."""
    labels = np.empty(vertices)
    for members in found.getComponents():
        labels[members] = min(members)
    return labels


def main():
    shapes = {"pagerank": pagerank, "components": components, "hops": hops}
    options = walk.arguments([*shapes])
    nk.setNumberOfThreads(1)
    before = walk.status_mb("VmRSS")
    plain = walk.Graph(options)
    source = plain.source()
    ends = (plain.src.astype(np.uint64), plain.dst.astype(np.uint64))
    graph = nk.GraphFromCoo(ends, n=plain.vertices, directed=True)
    del ends
    plain.drop_ends()
    walk.reset_peak()
    cpu, wall, found = walk.measured(lambda: shapes[options.shape](graph, source), options.runs)
    grown = walk.status_mb("VmHWM") - before
    if options.shape == "components":
        found = smallest(found, plain.vertices)
    elif options.shape == "hops":
        found = np.where(found > 1e300, UNREACHED, found)
    walk.report("networkit", options, plain, cpu, wall, found, grown)


main()
