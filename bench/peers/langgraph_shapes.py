"""The shapes of LangGraph's own benchmark: a line, sub-graphs opened in a fan-out, an agent with a tool, wide states.

Each function makes what compiles a graph, its input, and a list whose length is the number of activations so far.
"""

import operator
import random
import string
import uuid
from typing import Annotated, Any

import langgraph_wide
import measure
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent
from typing_extensions import TypedDict

WARMING = 2


def subgraphs(n):
    from langgraph.types import Send

    done = []

    class Inner(TypedDict):
        subject: Any
        jokes: list

    class Outer(TypedDict):
        subjects: list
        jokes: Annotated[list, operator.add]

    async def edit(state):
        done.append(1)
        return {"subject": f"{state['subject']} - hohoho"}

    async def generate(state):
        done.append(1)
        return {"jokes": [f"Joke about {state['subject']}"]}

    async def bump(state):
        done.append(1)
        return {"jokes": [state["jokes"][0] + " a"]}

    async def goes_on(state):
        return END if state["jokes"][0].endswith(" a" * 10) else "bump"

    inner = StateGraph(Inner)
    for name, vertex in {"edit": edit, "generate": generate, "bump": bump}.items():
        inner.add_node(name, vertex)
    for before, after in [(START, "edit"), ("edit", "generate"), ("generate", "bump")]:
        inner.add_edge(before, after)
    inner.add_conditional_edges("bump", goes_on, ["bump", END])
    outer = StateGraph(Outer)
    outer.add_node("joke", inner.compile())
    outer.add_conditional_edges(START, lambda state: [Send("joke", {"subject": s}) for s in state["subjects"]], ["joke"])
    outer.add_edge("joke", END)
    subjects = [random.choices(string.ascii_lowercase, k=1000) for _ in range(n)]
    return outer.compile, {"subjects": subjects}, done


def react(n):
    done = []

    class Model(FakeMessagesListChatModel):
        def bind_tools(self, _tools, **_kwargs):
            return self

        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            done.append(1)
            answer = self.responses[self.i].model_copy()
            self.i = (self.i + 1) % len(self.responses)
            return ChatResult(generations=[ChatGeneration(message=answer)])

    def look_up(query: str) -> str:
        done.append(1)
        return f"result for query: {query}" * 10

    def call():
        arguments = {"query": str(uuid.uuid4()) * 100}
        return AIMessage("", id=str(uuid.uuid4()), tool_calls=[
            {"id": str(uuid.uuid4()), "name": "look_up", "args": arguments},
        ])

    model = Model(responses=[*(call() for _ in range(n)), AIMessage("answer" * 100, id=str(uuid.uuid4()))])
    tool = StructuredTool.from_function(look_up, name="look_up", description="Looks something up.")

    def compiling(checkpointer):
        return create_react_agent(model, [tool], checkpointer=checkpointer)

    return compiling, {"messages": [HumanMessage("hi?")]}, done


def sequential(n):
    done = []

    async def nothing(_state: MessagesState):
        done.append(1)

    graph = StateGraph(MessagesState)
    names = [f"v{index}" for index in range(n)]
    for name in names:
        graph.add_node(name, nothing)
    for before, after in zip([START, *names], [*names, END]):
        graph.add_edge(before, after)
    return graph.compile, {"messages": []}, done


SHAPES = {
    "sequential": sequential,
    "subgraphs": subgraphs,
    "react": react,
    "wide-state": langgraph_wide.wide_state,
    "wide-dict": langgraph_wide.wide_dict,
    "pydantic-state": langgraph_wide.pydantic_state,
}


async def run(options, clock):
    """Measures a shape as its own benchmark does; how many activations the last run of it had.

    Each run ends, so that it can be told whether it did all its work: that of a compilation, and what comes after the
    first event, outside the measured region.
    """
    measured = MEASURES[options.measure]
    compiling, payload, _ = SHAPES[options.shape](WARMING)
    await measured(lambda: compiling(checkpointer=saver(options)), payload, measure.Clock())
    compiling, payload, done = SHAPES[options.shape](options.n)
    for _ in range(options.runs):
        done.clear()
        await measured(lambda: compiling(checkpointer=saver(options)), payload, clock)
    return len(done)


def saver(options):
    """What keeps the checkpoints of a run, those of one only: with durability `exit` it is asked to once, at the end."""
    return InMemorySaver() if options.store == "kept" else None


async def whole(compiling, payload, clock):
    graph = compiling()
    with clock.run():
        await rest(events(graph, payload))


async def first_event(compiling, payload, clock):
    graph = compiling()
    with clock.run():
        stream = events(graph, payload)
        await anext(stream)
    await rest(stream)


async def compilation(compiling, payload, clock):
    with clock.run():
        graph = compiling()
    await rest(events(graph, payload))


MEASURES = {"run": whole, "first-event": first_event, "compilation": compilation}


def events(graph, payload):
    config = {"configurable": {"thread_id": str(uuid.uuid4())}, "recursion_limit": 10**9}
    return graph.astream(payload, config, durability="exit")


async def rest(stream):
    async for _ in stream:
        pass
