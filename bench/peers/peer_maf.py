#!/usr/bin/env python3
"""Microsoft Agent Framework with executors that do nothing; durable means its files, which it does not sync."""

import asyncio
import logging

import measure
from agent_framework import FileCheckpointStorage, FunctionExecutor, WorkflowBuilder, WorkflowContext
from typing_extensions import Never

logging.disable(logging.WARNING)
BLOB = "x" * 1016
count = 0


async def forward(message: int, context: WorkflowContext[int]) -> None:
    global count
    count += 1
    await context.send_message(message)


async def last(message: int, context: WorkflowContext[Never, int]) -> None:
    global count
    count += 1
    await context.yield_output(message)


async def gather(messages: list[int], context: WorkflowContext[Never, int]) -> None:
    global count
    count += 1
    await context.yield_output(len(messages))


def builder(start, storage):
    return WorkflowBuilder(start_executor=start, checkpoint_storage=storage, max_iterations=10**9)


def chain(n, storage):
    executors = [FunctionExecutor(forward, id=f"v{index}") for index in range(n - 1)]
    executors.append(FunctionExecutor(last, id=f"v{n - 1}"))
    graph = builder(executors[0], storage)
    graph.add_chain(executors)
    return graph.build()


def fanout(n, storage):
    source, sink = FunctionExecutor(forward, id="source"), FunctionExecutor(gather, id="sink")
    elements = [FunctionExecutor(forward, id=f"element{index}") for index in range(n)]
    graph = builder(source, storage)
    graph.add_fan_out_edges(source, elements)
    graph.add_fan_in_edges(elements, sink)
    return graph.build()


def loop(n, storage):
    async def again(message: int, context: WorkflowContext[int, int]) -> None:
        global count
        count += 1
        context.set_state("blob", f"{BLOB}{message:08d}")
        if message + 1 >= n:
            await context.yield_output(message)
        else:
            await context.send_message(message + 1)

    # An executor cannot send to itself.
    one, two = FunctionExecutor(again, id="one"), FunctionExecutor(again, id="two")
    graph = builder(one, storage)
    graph.add_edge(one, two)
    graph.add_edge(two, one)
    return graph.build()


SHAPES = {"chain": chain, "concurrent": chain, "loop": loop, "fanout": fanout}


async def measured(options, clock, path):
    global count
    await SHAPES[options.shape](20, None).run(0)
    width = measure.WIDTH if options.shape == "concurrent" else 1
    for _ in range(options.runs):
        storage = FileCheckpointStorage(path) if path else None
        # One workflow refuses to run twice at the same time.
        graphs = [SHAPES[options.shape](options.n, storage) for _ in range(width)]
        count = 0
        with clock.run():
            await asyncio.gather(*(graph.run(0) for graph in graphs))


async def main():
    options = measure.arguments([*SHAPES], ["memory", "files"])
    clock, stored = measure.Clock(), 0
    if options.store == "memory":
        await measured(options, clock, None)
    else:
        with measure.folder() as path:
            await measured(options, clock, path)
            stored = measure.stored_bytes(path)
    measure.report("maf", options, clock, count, stored)


asyncio.run(main())
