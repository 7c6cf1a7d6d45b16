#!/usr/bin/env python3
"""LangGraph with vertices that do nothing, through its asynchronous interface in its default durability."""

import asyncio
import contextlib
import operator
import os
from typing import Annotated

import langgraph_shapes
import measure
import uvloop
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

BLOB = "x" * 1016
count = 0


class Chain(TypedDict):
    x: int


class Loop(TypedDict):
    i: int
    blob: str


class Width(TypedDict):
    out: Annotated[list, operator.add]


async def nothing(_state):
    global count
    count += 1


async def again(state):
    global count
    count += 1
    following = state["i"] + 1
    return {"i": following, "blob": f"{BLOB}{following:08d}"}


async def element(index):
    global count
    count += 1
    return {"out": [index]}


def chain(n):
    graph = StateGraph(Chain)
    names = [f"v{index}" for index in range(n)]
    for name in names:
        graph.add_node(name, nothing)
    for before, after in zip([START, *names], [*names, END]):
        graph.add_edge(before, after)
    return graph, {"x": 1}


def loop(n):
    graph = StateGraph(Loop)
    graph.add_node("again", again)
    graph.add_edge(START, "again")
    graph.add_conditional_edges("again", lambda state: "again" if state["i"] < n else END, ["again", END])
    return graph, {"i": 0, "blob": BLOB + "0" * 8}


def fanout(n):
    graph = StateGraph(Width)
    graph.add_node("source", nothing)
    graph.add_node("element", element)
    graph.add_node("sink", nothing)
    graph.add_edge(START, "source")
    graph.add_conditional_edges("source", lambda _state: [Send("element", i) for i in range(n)], ["element"])
    graph.add_edge("element", "sink")
    graph.add_edge("sink", END)
    return graph, {"out": []}


def branches(_n):
    def waiting(seconds):
        async def vertex(_state):
            global count
            count += 1
            await asyncio.sleep(seconds)
        return vertex

    graph = StateGraph(Chain)
    for name, seconds in {"a": 0, "b": 1, "c": 0.4, "d": 0.4, "e": 0}.items():
        graph.add_node(name, waiting(seconds))
    for before, after in [(START, "a"), ("a", "b"), ("a", "c"), ("c", "d"), (["b", "d"], "e"), ("e", END)]:
        graph.add_edge(before, after)
    return graph, {"x": 1}


SHAPES = {"chain": chain, "concurrent": chain, "loop": loop, "fanout": fanout, "branches": branches}


async def plain(options, clock, path):
    global count
    graph, payload = SHAPES[options.shape](20 if options.shape != "branches" else 0)
    if options.shape != "branches":
        await graph.compile().ainvoke(payload, {"recursion_limit": 10**9})
    width = measure.WIDTH if options.shape == "concurrent" else 1
    saver = AsyncSqliteSaver.from_conn_string(path) if path else contextlib.nullcontext()
    async with saver as checkpointer:
        graph, payload = SHAPES[options.shape](options.n)
        compiled = graph.compile(checkpointer=checkpointer)
        for run in range(options.runs):
            threads = [f"{run}-{index}" for index in range(width)]
            count = 0
            with clock.run():
                await asyncio.gather(*(
                    compiled.ainvoke(payload, {"configurable": {"thread_id": thread}, "recursion_limit": 10**9})
                    for thread in threads
                ))
    return count


async def main():
    shapes, measures = [*SHAPES, *langgraph_shapes.SHAPES], [*langgraph_shapes.MEASURES]
    options = measure.arguments(shapes, ["memory", "kept", "sqlite"], measures)
    clock, stored = measure.Clock(), 0
    if options.shape in langgraph_shapes.SHAPES:
        activations = await langgraph_shapes.run(options, clock)
    elif options.store == "memory":
        activations = await plain(options, clock, None)
    else:
        with measure.folder() as folder:
            path = os.path.join(folder, "checkpoints.db")
            activations = await plain(options, clock, path)
            stored = measure.stored_bytes(path)
    measure.report("langgraph", options, clock, activations, stored)


uvloop.run(main())
