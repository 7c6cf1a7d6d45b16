#!/usr/bin/env python3
"""pydantic-graph with steps that do nothing. This version keeps nothing on disk, so it has no durable rows."""

import asyncio
from dataclasses import dataclass

import measure
from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

BLOB = "x" * 1016
count = 0


@dataclass
class State:
    i: int = 0
    blob: str = ""


async def forward(context: StepContext[State, None, int]) -> int:
    global count
    count += 1
    return context.inputs


def builder():
    return GraphBuilder(state_type=State, input_type=int, output_type=object)


def chain(n):
    graph = builder()
    steps = [graph.step(forward, node_id=f"v{index}") for index in range(n)]
    graph.add(graph.edge_from(graph.start_node).to(steps[0]))
    for before, after in zip(steps, steps[1:]):
        graph.add(graph.edge_from(before).to(after))
    graph.add(graph.edge_from(steps[-1]).to(graph.end_node))
    return graph.build()


def fanout(n):
    async def spread(_context: StepContext[State, None, int]) -> list[int]:
        global count
        count += 1
        return list(range(n))

    async def gather(context: StepContext[State, None, list[int]]) -> int:
        global count
        count += 1
        return len(context.inputs)

    graph = builder()
    source, element = graph.step(spread, node_id="source"), graph.step(forward, node_id="element")
    sink = graph.step(gather, node_id="sink")
    join = graph.join(reduce_list_append, initial_factory=list)
    graph.add(
        graph.edge_from(graph.start_node).to(source),
        graph.edge_from(source).map().to(element),
        graph.edge_from(element).to(join),
        graph.edge_from(join).to(sink),
        graph.edge_from(sink).to(graph.end_node),
    )
    return graph.build()


def loop(n):
    async def again(context: StepContext[State, None, int]) -> int | str:
        global count
        count += 1
        context.state.i += 1
        context.state.blob = f"{BLOB}{context.state.i:08d}"
        return context.state.i if context.state.i < n else "end"

    graph = builder()
    step = graph.step(again, node_id="again")
    choice = graph.decision().branch(graph.match(int).to(step)).branch(graph.match(str).to(graph.end_node))
    graph.add(graph.edge_from(graph.start_node).to(step), graph.edge_from(step).to(choice))
    return graph.build()


SHAPES = {"chain": chain, "concurrent": chain, "loop": loop, "fanout": fanout}


async def main():
    global count
    options = measure.arguments([*SHAPES], ["memory"])
    clock = measure.Clock()
    await SHAPES[options.shape](20).run(state=State(), inputs=1)
    graph = SHAPES[options.shape](options.n)
    width = measure.WIDTH if options.shape == "concurrent" else 1
    for _ in range(options.runs):
        count = 0
        with clock.run():
            await asyncio.gather(*(graph.run(state=State(), inputs=1) for _ in range(width)))
    measure.report("pydantic-graph", options, clock, count)


asyncio.run(main())
