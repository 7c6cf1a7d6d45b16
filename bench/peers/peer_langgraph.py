#!/usr/bin/env python3
"""LangGraph with vertices that do nothing, through its asynchronous interface in its default durability."""

import asyncio
import contextlib
import operator
from typing import Annotated

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

import measure

PAYLOAD = "x" * 1024
count = 0


class Chain(TypedDict):
    x: int


class Loop(TypedDict):
    round: int
    payload: str


class Width(TypedDict):
    out: Annotated[list, operator.add]


async def nothing(_state):
    global count
    count += 1


async def again(state):
    global count
    count += 1
    return {"round": state["round"] + 1, "payload": PAYLOAD}


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
    graph.add_conditional_edges("again", lambda state: "again" if state["round"] < n else END, ["again", END])
    return graph, {"round": 0, "payload": PAYLOAD}


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


SHAPES = {"chain": chain, "loop": loop, "fanout": fanout}


async def main():
    global count
    options = measure.arguments()
    shape = SHAPES[options.shape]
    clock, stored = measure.Clock(), 0
    small, payload = shape(20)
    await small.compile().ainvoke(payload, {"recursion_limit": 10**9})
    with measure.database(options.store) as path:
        saver = AsyncSqliteSaver.from_conn_string(path) if path else contextlib.nullcontext()
        async with saver as checkpointer:
            graph, payload = shape(options.n)
            compiled = graph.compile(checkpointer=checkpointer)
            for run in range(options.runs):
                config = {"configurable": {"thread_id": str(run)}, "recursion_limit": 10**9}
                count = 0
                with clock.run():
                    await compiled.ainvoke(payload, config)
        if path:
            stored = measure.stored_bytes(path)
    measure.report("langgraph", options, clock, count, stored)


asyncio.run(main())
