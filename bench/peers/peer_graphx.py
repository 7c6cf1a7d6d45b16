#!/usr/bin/env python3
"""GraphX (Spark, on the JVM) on the graph that superstep made, in one thread. Needs Java 17."""

import ctypes
import json
import os
import resource
import signal
import subprocess

import numpy as np
import pyspark

import walk

HOME = os.path.dirname(pyspark.__file__)
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peer_graphx.scala")
PR_SET_PDEATHSIG = 1


def command():
    """The virtual machine with Spark's shell on the script, as Spark's own launcher writes it, zeros in between."""
    launcher = ["java", "-Xmx128m", "-cp", os.path.join(HOME, "jars", "*"), "org.apache.spark.launcher.Main"]
    submit = ["org.apache.spark.deploy.SparkSubmit", "--class", "org.apache.spark.repl.Main", "--master", "local[1]"]
    memory = ["--driver-memory", "4g", "--conf", "spark.driver.extraJavaOptions=-Dscala.usejavacp=true"]
    quiet = ["--conf", "spark.ui.enabled=false", "--conf", "spark.ui.showConsoleProgress=false"]
    shell = ["spark-shell", "-i", SCRIPT]
    written = subprocess.run(
        launcher + submit + memory + quiet + shell, stdout=subprocess.PIPE, text=True, check=True,
        env=os.environ | {"SPARK_HOME": HOME, "SPARK_SCALA_VERSION": "2.13"}).stdout
    return [part.strip("\n") for part in written.split("\0") if part.strip("\n")]


def end_with_parent():
    """A measurement that is given up takes the virtual machine with it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main():
    options = walk.arguments(["pagerank"])
    graph = walk.Graph(options)
    environment = os.environ | {
        "SPARK_HOME": HOME,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "GRAPHX_FOLDER": graph.folder,
        "GRAPHX_VERTICES": str(graph.vertices),
        "GRAPHX_ITERATIONS": str(walk.ITERATIONS),
        "GRAPHX_DAMPING": str(walk.DAMPING),
    }
    ended = subprocess.run(
        command(), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True,
        preexec_fn=end_with_parent)
    line = next(line for line in ended.stdout.splitlines() if line.startswith('{"cpu_s"'))
    times = json.loads(line)
    found = np.fromfile(os.path.join(graph.folder, "graphx.f64"), np.float64)
    # The virtual machine itself is in it.
    rss_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    walk.report("graphx", options, graph, times["cpu_s"], times["wall_s"], found, rss_mb, rss_mb)


main()
