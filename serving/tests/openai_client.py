"""What the official client of OpenAI sees of a model server: python openai_client.py TINY SCRIPTED EMBEDDING BUSY.

The arguments are base URLs: of a tiny language model, of a script that calls tools, of a sentence model, and of a script
that takes long, with one place and nobody waiting. Every function that begins with check_ is a check.
"""

import json
import sys
import threading
import time

import openai

TINY, SCRIPTED, EMBEDDING, BUSY = (
    openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120) for url in sys.argv[1:5]
)
HELLO = [{"role": "user", "content": "Hello"}]
TICKET = {
    "type": "json_schema",
    "json_schema": {
        "name": "ticket",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "kind": {"enum": ["bug", "question"]},
                "grade": {"type": "integer", "minimum": 1, "maximum": 5},
            },
            "required": ["kind", "grade"],
            "additionalProperties": False,
        },
    },
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def check_models_are_listed():
    assert [model.id for model in TINY.models.list()] == ["tiny"]
    assert TINY.models.retrieve("tiny").owned_by == "superstep"
    raised(openai.NotFoundError, lambda: TINY.models.retrieve("other"))


def check_an_answer_has_text_usage_and_a_reason():
    answer = TINY.chat.completions.create(model="tiny", messages=HELLO, max_completion_tokens=8)
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def check_a_seed_decides():
    def drawn(seed):
        answer = TINY.chat.completions.create(
            model="tiny", messages=HELLO, max_tokens=16, temperature=1.0, top_p=0.95, seed=seed
        )
        return answer.choices[0].message.content

    assert drawn(1) == drawn(1) != drawn(2)


def check_several_answers():
    answer = TINY.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=16, temperature=1.0, seed=1, n=2
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.choices[0].message.content != answer.choices[1].message.content


def check_a_stream_adds_up():
    settings = dict(model="tiny", messages=HELLO, max_tokens=24, temperature=1.0, seed=3)
    whole = TINY.chat.completions.create(**settings)
    stream = TINY.chat.completions.create(**settings, stream=True, stream_options={"include_usage": True})
    text, usage, reasons = "", None, []
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert text == whole.choices[0].message.content
    assert usage == whole.usage and reasons == [whole.choices[0].finish_reason]


def check_the_helper_for_streams_understands_them():
    # It takes no answer that was cut off, and this one ends with its schema.
    with TINY.chat.completions.stream(model="tiny", messages=HELLO, response_format=TICKET) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    # In how many pieces it comes is a matter of time: what a slow client did not hear yet comes in one.
    assert "".join(deltas) == final.choices[0].message.content


def check_an_answer_fits_its_schema():
    answer = TINY.chat.completions.create(model="tiny", messages=HELLO, response_format=TICKET)
    ticket = json.loads(answer.choices[0].message.content)
    assert ticket["kind"] in ("bug", "question") and 1 <= ticket["grade"] <= 5 and len(ticket) == 2


def check_json_alone():
    answer = TINY.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=64, response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(answer.choices[0].message.content), dict)


def check_log_probabilities():
    answer = TINY.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=4, logprobs=True, top_logprobs=3
    )
    told = answer.choices[0].logprobs.content
    assert told and all(token.logprob <= 0 and len(token.top_logprobs) == 3 for token in told)


def conversation(client, **settings):
    messages = [{"role": "user", "content": "How is the weather in Oslo?"}]
    first = client.chat.completions.create(model="tiny", messages=messages, tools=[WEATHER], **settings)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls" and len(message.tool_calls) == 1
    call = message.tool_calls[0]
    assert call.function.name == "get_weather" and json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": "7 degrees"}]
    return messages


def check_a_model_without_tool_calling_calls_tools():
    messages = conversation(TINY, tool_choice="required", parallel_tool_calls=False)
    answer = TINY.chat.completions.create(
        model="tiny", messages=messages, tools=[WEATHER], tool_choice="none", max_tokens=8
    )
    assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls


def check_a_tool_that_is_named_is_called():
    conversation(TINY, tool_choice={"type": "function", "function": {"name": "get_weather"}}, max_tokens=256)


def check_a_model_with_tool_calling_calls_tools():
    messages = conversation(SCRIPTED)
    answer = SCRIPTED.chat.completions.create(model="tiny", messages=messages, tools=[WEATHER])
    assert answer.choices[0].message.content == "It is cold."


def check_calls_come_in_streams():
    for client, choice in ((TINY, "required"), (SCRIPTED, "auto")):
        stream = client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "How is the weather in Oslo?"}],
            tools=[WEATHER],
            tool_choice=choice,
            stream=True,
        )
        name, arguments, reason = "", "", None
        for chunk in stream:
            reason = chunk.choices[0].finish_reason or reason
            for call in chunk.choices[0].delta.tool_calls or []:
                name += call.function.name or ""
                arguments += call.function.arguments or ""
        assert name == "get_weather" and "city" in json.loads(arguments) and reason == "tool_calls"


def as_of_responses(tool):
    return {"type": "function", **tool["function"]}


def check_a_response_has_text_and_usage():
    settings = dict(model="tiny", instructions="Be brief.", temperature=1.0, extra_body={"seed": 5})
    answer = TINY.responses.create(input="Hello", max_output_tokens=16, **settings)
    assert answer.output_text and answer.id.startswith("resp_") and answer.instructions == "Be brief."
    assert answer.status in ("completed", "incomplete") and not answer.store
    if answer.status == "incomplete":
        assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    again = TINY.responses.create(
        input=[{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}], max_output_tokens=16, **settings
    )
    assert again.output_text == answer.output_text


def check_a_stream_of_a_response_adds_up():
    settings = dict(model="tiny", input="Hello", max_output_tokens=24, temperature=1.0, extra_body={"seed": 3})
    whole = TINY.responses.create(**settings)
    text, events = "", []
    for event in TINY.responses.create(**settings, stream=True):
        assert event.sequence_number == len(events)
        events.append(event)
        text += event.delta if event.type == "response.output_text.delta" else ""
    assert text == whole.output_text == events[-1].response.output_text
    assert events[0].type == "response.created" and events[0].response.status == "in_progress"
    assert events[-1].type == f"response.{whole.status}" and events[-1].response.usage == whole.usage
    done = [event for event in events if event.type == "response.output_item.done"]
    assert [event.item for event in done] == events[-1].response.output


def check_the_helper_for_streams_of_responses_understands_them():
    ticket = TICKET["json_schema"]
    form = {"type": "json_schema", "name": ticket["name"], "strict": True, "schema": ticket["schema"]}
    with TINY.responses.stream(model="tiny", input="Hello", text={"format": form}) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output_text
    ticket = json.loads(final.output_text)
    assert ticket["kind"] in ("bug", "question") and 1 <= ticket["grade"] <= 5 and len(ticket) == 2


def check_responses_call_tools():
    for client, choice in ((TINY, "required"), (SCRIPTED, "auto")):
        items = [{"role": "user", "content": "How is the weather in Oslo?"}]
        tools = [as_of_responses(WEATHER)]
        first = client.responses.create(model="tiny", input=items, tools=tools, tool_choice=choice)
        calls = [item for item in first.output if item.type == "function_call"]
        assert calls and all(json.loads(call.arguments)["city"] in ("Oslo", "Rome") for call in calls)
        items += first.output
        items += [
            {"type": "function_call_output", "call_id": call.call_id, "output": "7 degrees"} for call in calls
        ]
        answer = client.responses.create(
            model="tiny", input=items, tools=tools, tool_choice="none" if client is TINY else "auto", max_output_tokens=8
        )
        assert answer.output_text and not any(item.type == "function_call" for item in answer.output)
        assert client is TINY or answer.output_text == "It is cold."


def check_calls_come_in_streams_of_responses():
    for client, choice in ((TINY, "required"), (SCRIPTED, "auto")):
        with client.responses.stream(
            model="tiny",
            input="How is the weather in Oslo?",
            tools=[as_of_responses(WEATHER)],
            tool_choice=choice,
        ) as stream:
            arguments = [
                event.snapshot for event in stream if event.type == "response.function_call_arguments.delta"
            ]
            final = stream.get_final_response()
        calls = [item for item in final.output if item.type == "function_call"]
        assert calls and [call.arguments for call in calls] == arguments
        assert calls[0].name == "get_weather" and calls[0].parsed_arguments["city"] in ("Oslo", "Rome")


def check_what_responses_do_not_do_is_refused():
    create = TINY.responses.create
    for settings, param in (
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
    ):
        error = raised(openai.BadRequestError, lambda: create(model="tiny", input="Hello", **settings))
        assert error.param == param and error.type == "invalid_request_error", error
    raised(openai.NotFoundError, lambda: create(model="other", input="Hello"))
    raised(openai.NotFoundError, lambda: TINY.responses.retrieve("resp_1"))


def check_documents_are_ranked():
    body = {"model": "tiny", "query": "is it cold", "documents": ["a b", {"text": "it is cold"}], "top_n": 1}
    answer = SCRIPTED.post("/rerank", cast_to=object, body=body)
    assert [result["index"] for result in answer["results"]] == [1]
    assert answer["results"][0]["relevance_score"] > 0.9 and answer["usage"]["total_tokens"] > 0
    raised(openai.BadRequestError, lambda: TINY.post("/rerank", cast_to=object, body=body))


def check_vectors():
    answer = EMBEDDING.embeddings.create(model="tiny", input=["red", "a green blue"])
    as_numbers = EMBEDDING.embeddings.create(model="tiny", input=["red", "a green blue"], encoding_format="float")
    for item, numbers in zip(answer.data, as_numbers.data, strict=True):
        assert len(item.embedding) == len(numbers.embedding)
        assert all(abs(one - other) < 1e-6 for one, other in zip(item.embedding, numbers.embedding))
    assert answer.usage.prompt_tokens > 0


def check_errors_have_their_types():
    create = TINY.chat.completions.create
    wrong = raised(openai.BadRequestError, lambda: create(model="tiny", messages=HELLO, temperature=-1))
    assert wrong.type == "invalid_request_error" and "temperature" in wrong.message
    unknown = raised(openai.BadRequestError, lambda: create(model="tiny", messages=HELLO, extra_body={"foo": 1}))
    assert (unknown.code, unknown.param) == ("unknown_parameter", "foo")
    missing = raised(openai.NotFoundError, lambda: create(model="other", messages=HELLO))
    assert missing.code == "model_not_found"
    long = [{"role": "user", "content": "x" * 9000}]
    raised(openai.BadRequestError, lambda: create(model="tiny", messages=long, stream=True))
    raised(openai.NotFoundError, lambda: TINY.completions.create(model="tiny", prompt="Once"))


def check_who_finds_the_queue_full_is_told_when_to_come_again():
    def hold():
        # It may find the place taken by who looks whether the queue is full.
        while True:
            try:
                BUSY.with_options(timeout=600).chat.completions.create(model="tiny", messages=HELLO)
            except openai.APIError:
                time.sleep(0.05)

    # It ends with the process: what it asks for takes an hour.
    threading.Thread(target=hold, daemon=True).start()
    until = time.monotonic() + 120
    while True:
        try:
            BUSY.with_options(timeout=5).chat.completions.create(model="tiny", messages=HELLO)
        except openai.RateLimitError as error:
            assert int(error.response.headers["retry-after"]) >= 1 and error.code == "queue_full"
            return
        except openai.APITimeoutError:
            assert time.monotonic() < until, "the queue was never full"
            time.sleep(0.5)


def check_a_request_that_comes_again_is_answered_as_before():
    def asked(key):
        answer = TINY.chat.completions.create(
            model="tiny", messages=HELLO, max_tokens=16, temperature=1.5, extra_headers={"Idempotency-Key": key}
        )
        return answer.choices[0].message.content

    assert asked("one") == asked("one") != asked("other")


CHECKS = [(name, check) for name, check in list(globals().items()) if name.startswith("check_")]
for name, check in CHECKS:
    check()
    print("ok", name, flush=True)
print(f"{len(CHECKS)} checks with openai {openai.__version__}")
