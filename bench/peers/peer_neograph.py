#!/usr/bin/env python3
"""NeoGraph, an engine in C++, with vertices in Python that do nothing."""

import os
from concurrent.futures import ThreadPoolExecutor

import neograph_engine as neograph

import measure

BLOB = "x" * 1016
START, END = "__start__", "__end__"
CHANNELS = {
    "x": {"reducer": "overwrite"},
    "round": {"reducer": "overwrite"},
    "blob": {"reducer": "overwrite"},
    "out": {"reducer": "append"},
}
options = measure.arguments(["chain", "loop", "fanout", "concurrent"], ["memory", "sqlite"])
count = 0
size = options.n


class Vertex(neograph.GraphNode):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def get_name(self):
        return self.name

    def run(self, input):
        global count
        count += 1
        return self.answer(input)

    def answer(self, _input):
        return []


class Source(Vertex):
    def answer(self, _input):
        return [neograph.Send("element", {"index": index}) for index in range(size)]


class Element(Vertex):
    def answer(self, _input):
        return [neograph.ChannelWrite("out", [1])]


class Again(Vertex):
    def answer(self, input):
        done = (input.state.get("round") or 0) + 1
        return [
            neograph.ChannelWrite("round", done),
            neograph.ChannelWrite("blob", f"{BLOB}{done:08d}"),
            neograph.Command(goto_node=END if done >= size else "again"),
        ]


def register(kind, vertex):
    neograph.NodeFactory.register_type(kind, lambda name, _config, _context: vertex(name))


def line(names):
    return [{"from": before, "to": after} for before, after in zip([START, *names], [*names, END])]


def compiled(n, store):
    if options.shape in ("chain", "concurrent"):
        names = [f"v{index}" for index in range(n)]
        nodes, edges = {name: {"type": "vertex"} for name in names}, line(names)
    elif options.shape == "loop":
        nodes, edges = {"again": {"type": "again"}}, [{"from": START, "to": "again"}]
    else:
        nodes = {"source": {"type": "source"}, "element": {"type": "element"}, "sink": {"type": "vertex"}}
        edges = [
            {"from": START, "to": "source"},
            {"from": "element", "to": "sink"},
            {"from": "sink", "to": END},
        ]
    definition = {"name": "bench", "channels": CHANNELS, "nodes": nodes, "edges": edges}
    return neograph.GraphEngine.compile(definition, neograph.NodeContext(), store)


def config(thread, durable):
    made = neograph.RunConfig()
    made.max_steps = 10**9
    made.input = {"round": 0} if options.shape == "loop" else {"x": 1}
    if durable:
        made.thread_id = thread
    return made


def measured(clock, path):
    global count
    engine = compiled(options.n, neograph.SqliteCheckpointStore(path) if path else None)
    width = measure.WIDTH if options.shape == "concurrent" else 1
    for run in range(options.runs):
        count = 0
        made = [config(f"{run}-{index}", path is not None) for index in range(width)]
        with clock.run():
            if width == 1:
                engine.run(made[0])
            else:
                with ThreadPoolExecutor(width) as threads:
                    list(threads.map(engine.run, made))


def main():
    global size
    for kind, vertex in {"vertex": Vertex, "source": Source, "element": Element, "again": Again}.items():
        register(kind, vertex)
    clock, stored = measure.Clock(), 0
    size = 20
    compiled(size, None).run(config("", False))
    size = options.n
    if options.store == "memory":
        measured(clock, None)
    else:
        with measure.folder() as folder:
            path = os.path.join(folder, "checkpoints.db")
            measured(clock, path)
            stored = measure.stored_bytes(path)
    measure.report("neograph", options, clock, count, stored)


main()
