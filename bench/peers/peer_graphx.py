#!/usr/bin/env python3
"""GraphX (Spark, on the JVM) on the graph that superstep made, in one thread. Needs Java 17."""

import json
import os
import resource
import subprocess

import numpy as np
import pyspark

import walk


def main():
    options = walk.arguments(["pagerank"])
    graph = walk.Graph(options)
    home = os.path.dirname(pyspark.__file__)
    environment = os.environ | {
        "SPARK_HOME": home,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "GRAPHX_FOLDER": graph.folder,
        "GRAPHX_VERTICES": str(graph.vertices),
        "GRAPHX_ITERATIONS": str(walk.ITERATIONS),
        "GRAPHX_DAMPING": str(walk.DAMPING),
    }
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_graphx.scala")
    shell = [os.path.join(home, "bin/spark-shell"), "--master", "local[1]", "--driver-memory", "4g", "-i", script]
    quiet = ["--conf", "spark.ui.enabled=false", "--conf", "spark.ui.showConsoleProgress=false"]
    ended = subprocess.run(
        shell + quiet, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    line = next(line for line in ended.stdout.splitlines() if line.startswith('{"cpu_s"'))
    times = json.loads(line)
    found = np.fromfile(os.path.join(graph.folder, "graphx.f64"), np.float64)
    grown_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    walk.report("graphx", options, graph, times["cpu_s"], times["wall_s"], found, grown_mb)


main()
