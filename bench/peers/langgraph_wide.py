"""The wide states of LangGraph's own benchmark: fifteen fields that six vertices write, most of them lists that grow.

The state is a dataclass (`wide_state`), a dict (`wide_dict`), or a pydantic model of which each field has a validator
(`pydantic_state`): LangGraph makes the state of a vertex anew for each activation, and validates all of it there.
"""

import dataclasses
import operator
import random
import string
from typing import Annotated, Any, Optional

import pydantic
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict


def kept(before, after):
    return after if after is not None else before


def filled(before, after):
    return after or before


def newest(_before, after):
    return after


def nothing():
    return None


FIELDS = {
    "messages": (Annotated[list, operator.add], list),
    "trigger_events": (Annotated[list, operator.add], list),
    "primary_issue_medium": (Annotated[str, filled], str),
    "autoresponse": (Annotated[Optional[dict], newest], nothing),
    "issue": (Annotated[Optional[dict], filled], nothing),
    "relevant_rules": (Optional[list[dict]], nothing),
    "memory_docs": (Optional[list[dict]], nothing),
    "categorizations": (Annotated[list[dict], operator.add], list),
    "responses": (Annotated[list[dict], operator.add], list),
    "user_info": (Annotated[Optional[dict], kept], nothing),
    "crm_info": (Annotated[Optional[dict], kept], nothing),
    "email_thread_id": (Annotated[Optional[str], kept], nothing),
    "slack_participants": (Annotated[dict, operator.or_], dict),
    "bot_id": (Optional[str], nothing),
    "notified_assignees": (Annotated[dict, operator.or_], dict),
}
"""Each with its type and what makes it where nothing has written it."""

LISTS = {"messages", "trigger_events", "categorizations", "responses", "memory_docs", "relevant_rules"}
TEXTS = {"primary_issue_medium", "email_thread_id", "bot_id"}
VERTICES = {
    "one": ("messages", ["trigger_events", "primary_issue_medium"]),
    "two": ("trigger_events", ["autoresponse", "issue"]),
    "three": ("autoresponse", ["relevant_rules"]),
    "four": ("trigger_events", ["categorizations", "responses", "memory_docs"]),
    "five": ("categorizations", [
        "user_info", "crm_info", "email_thread_id", "slack_participants", "bot_id", "notified_assignees",
    ]),
    "six": ("responses", ["messages"]),
}
MESSAGE_SIDES = {300: (5, 5), 600: (3, 5), 1200: (3, 3)}


def are_keyed(items):
    return all(isinstance(item, dict) and all(isinstance(key, str) for key in item) for item in items)


def validator(name):
    def check(_model, value):
        if value is None:
            return value
        wanted = list if name in LISTS else str if name in TEXTS else dict
        if not isinstance(value, wanted):
            raise ValueError(f"{name} is no {wanted.__name__}")
        if wanted is not str and not are_keyed(value if wanted is list else [value]):
            raise ValueError(f"{name} has keys that are no text")
        return value
    return pydantic.field_validator(name)(classmethod(check))


def as_dict():
    return TypedDict("Wide", {name: kind for name, (kind, _) in FIELDS.items()})


def as_dataclass():
    fields = [(name, kind, dataclasses.field(default_factory=make)) for name, (kind, make) in FIELDS.items()]
    return dataclasses.make_dataclass("Wide", fields, kw_only=True)


def as_model():
    fields: dict[str, Any] = {
        name: (kind, pydantic.Field(default_factory=make)) for name, (kind, make) in FIELDS.items()
    }
    validators = {f"check_{name}": validator(name) for name in FIELDS}
    return pydantic.create_model("Wide", __validators__=validators, **fields)


def made(state, read, n):
    """The graph whose state is of the class `state`, of which `read` takes a field."""
    done = []

    def copies(source, fields):
        async def vertex(now):
            done.append(1)
            value = read(now, source)
            every = value if isinstance(value, list) else [value]
            def of(field):
                if field in TEXTS:
                    return "".join(random.choices(string.ascii_lowercase, k=n))
                return every if field in LISTS else every[-1]
            return {field: of(field) for field in fields}
        return vertex

    graph = StateGraph(state)
    for name, (source, fields) in VERTICES.items():
        graph.add_node(name, copies(source, fields))
    for before, after in [
        (START, "one"), ("one", "two"), ("two", "three"), ("two", "four"), (["three", "four"], "five"), ("five", "six"),
    ]:
        graph.add_edge(before, after)
    graph.add_conditional_edges("six", lambda now: END if len(read(now, "messages")) > n else "one", ["one", END])
    outer, inner = MESSAGE_SIDES.get(n, (3, 3))
    leaf = ["hi?" * 10, True, 1, 6327816386138, None] * 5
    message = {str(i) * 10: {str(j) * 10: leaf for j in range(inner)} for i in range(outer)}
    return graph.compile, {"messages": [message]}, done


def wide_state(n):
    return made(as_dataclass(), getattr, n)


def wide_dict(n):
    return made(as_dict(), operator.getitem, n)


def pydantic_state(n):
    return made(as_model(), getattr, n)
