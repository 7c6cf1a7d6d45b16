"""The shapes of LangGraph's own benchmark: sub-graphs opened in a fan-out, an agent with a tool, a wide state.

Each function makes a graph, its input, and a list whose length is the number of activations so far.
"""

import operator
import random
import string
import uuid
from typing import Annotated, Any, Optional

import measure
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from langgraph.graph import END, START, StateGraph
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
    return outer.compile(), {"subjects": subjects}, done


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
    return create_react_agent(model, [tool]), {"messages": [HumanMessage("hi?")]}, done


def kept(before, after):
    return after if after is not None else before


class Wide(TypedDict, total=False):
    messages: Annotated[list, operator.add]
    trigger_events: Annotated[list, operator.add]
    primary_issue_medium: str
    autoresponse: Optional[dict]
    issue: Optional[dict]
    relevant_rules: Optional[list]
    memory_docs: Optional[list]
    categorizations: Annotated[list, operator.add]
    responses: Annotated[list, operator.add]
    user_info: Annotated[Optional[dict], kept]
    crm_info: Annotated[Optional[dict], kept]
    email_thread_id: Annotated[Optional[str], kept]
    slack_participants: Annotated[dict, operator.or_]
    bot_id: Optional[str]
    notified_assignees: Annotated[dict, operator.or_]


LISTS = {"messages", "trigger_events", "categorizations", "responses", "memory_docs", "relevant_rules"}
TEXTS = {"primary_issue_medium", "email_thread_id", "bot_id"}
WIDE = {
    "one": ("messages", ["trigger_events", "primary_issue_medium"]),
    "two": ("trigger_events", ["autoresponse", "issue"]),
    "three": ("autoresponse", ["relevant_rules"]),
    "four": ("trigger_events", ["categorizations", "responses", "memory_docs"]),
    "five": ("categorizations", [
        "user_info", "crm_info", "email_thread_id", "slack_participants", "bot_id", "notified_assignees",
    ]),
    "six": ("responses", ["messages"]),
}
MESSAGE_SIDES = {300: (5, 5), 1200: (3, 3)}


def wide(n):
    done = []

    def copies(read, fields):
        async def vertex(state):
            done.append(1)
            value = state[read]
            every = value if isinstance(value, list) else [value]
            def of(field):
                if field in TEXTS:
                    return "".join(random.choices(string.ascii_lowercase, k=n))
                return every if field in LISTS else every[-1]
            return {field: of(field) for field in fields}
        return vertex

    graph = StateGraph(Wide)
    for name, (read, fields) in WIDE.items():
        graph.add_node(name, copies(read, fields))
    for before, after in [
        (START, "one"), ("one", "two"), ("two", "three"), ("two", "four"), (["three", "four"], "five"), ("five", "six"),
    ]:
        graph.add_edge(before, after)
    graph.add_conditional_edges("six", lambda state: END if len(state["messages"]) > n else "one", ["one", END])
    outer, inner = MESSAGE_SIDES.get(n, (3, 3))
    leaf = ["hi?" * 10, True, 1, 6327816386138, None] * 5
    message = {str(i) * 10: {str(j) * 10: leaf for j in range(inner)} for i in range(outer)}
    return graph.compile(), {"messages": [message]}, done


SHAPES = {"subgraphs": subgraphs, "react": react, "wide": wide}


async def run(options, clock):
    """Streams runs of a shape as its own benchmark does; how many activations the last one had."""
    graph, payload, done = SHAPES[options.shape](WARMING)
    await stream(graph, payload)
    graph, payload, done = SHAPES[options.shape](options.n)
    for _ in range(options.runs):
        done.clear()
        with clock.run():
            await stream(graph, payload)
    return len(done)


async def stream(graph, payload):
    async for _ in graph.astream(payload, {"recursion_limit": 10**9}, durability="exit"):
        pass
