#!/usr/bin/env python3
"""Starts `superstep serve` and measures it from outside, with nothing but Python's own library.

  first-tokens   how long clients wait for the first text of an answer, with so many of them at a time
  together       a graph whose vertices all ask the model, against the same calls one after another
  memory         the most memory that the server takes when every request fills its context

Each prints a line of JSON."""

import argparse
import ctypes
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

NAME = "measured"
# Whoever starts this counts the tokens of one thread; a server has the machine.
ONE_THREAD = ("RAYON_NUM_THREADS", "CANDLE_NUM_THREADS")
SUBJECTS = ["a lighthouse", "bread", "the tides", "a bicycle", "night trains", "bees", "a city park", "chess",
            "an old camera", "the harbour"]
STORY = 32


def end_with_parent():
    """Has the kernel end this process when the one that started it is killed, which could not do so itself."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Server:
    """A `superstep serve` of its own, from when it is ready until it is told to end."""

    def __init__(self, superstep, model, slots, context):
        environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
        self.errors = tempfile.TemporaryFile(mode="w+")
        command = [superstep, "serve", "--model", model, "--name", NAME, "--listen", "127.0.0.1:0"]
        command += ["--max-concurrent-requests", str(slots), "--context-length", str(context)]
        self.process = subprocess.Popen(command, stderr=self.errors, stdin=subprocess.DEVNULL, env=environment,
                                        preexec_fn=end_with_parent)
        self.port = None

    def __enter__(self):
        try:
            self.wait(lambda: self.address() is not None)
            self.port = self.address()
            self.wait(lambda: self.status("/readyz") == 200)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def address(self):
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.said())
        return found and int(found[1])

    def wait(self, is_so):
        end = time.monotonic() + 120
        while not is_so():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the server does not come up: {self.said()}")
            time.sleep(0.02)

    def status(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

    def peak(self):
        """The most bytes that it has had in memory."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def post(connection, prompt, length, stream=False):
    body = {"model": NAME, "messages": [{"role": "user", "content": prompt}], "max_tokens": length,
            "temperature": 0, "stream": stream}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    return connection.getresponse()


def answer(connection, prompt, length):
    response = post(connection, prompt, length)
    read = json.loads(response.read())
    if response.status != 200:
        raise SystemExit(f"status {response.status}: {read}")
    return read


def first_text(connection, prompt, length):
    """Seconds until the first text of an answer, which is read to its end."""
    start = time.perf_counter()
    response = post(connection, prompt, length, stream=True)
    if response.status != 200:
        raise SystemExit(f"status {response.status}: {response.read()}")
    first = None
    for line in response:
        if first is None and line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                first = time.perf_counter() - start
    if first is None:
        raise SystemExit("an answer has no text")
    return first


def at_once(works):
    """Runs each in a thread of its own, and raises what any of them raises."""
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def share(sorted_waits, part):
    return sorted_waits[min(len(sorted_waits) - 1, int(len(sorted_waits) * part))]


def first_tokens(arguments):
    with Server(arguments.superstep, arguments.model, arguments.clients, 1024) as server:
        waits = []
        each = max(3, 24 // arguments.clients)

        def ask(client):
            connection = server.client()
            for turn in range(each):
                # Each begins with words of its own, so that nothing of it was read before.
                prompt = f"Client {client}, turn {turn}. Tell a story of {SUBJECTS[(client + turn) % 10]} in which " \
                         "somebody loses a thing, looks for it in three places, and finds another one."
                waits.append(first_text(connection, prompt, STORY))

        answer(server.client(), "Say a word.", 4)
        clock = time.perf_counter()
        at_once([lambda client=client: ask(client) for client in range(arguments.clients)])
        clock = time.perf_counter() - clock
    waits.sort()
    return {"clients": arguments.clients, "requests": len(waits), "p50_ms": share(waits, 0.5) * 1e3,
            "p99_ms": share(waits, 0.99) * 1e3, "requests_per_s": len(waits) / clock}


def prompts(mark):
    """Twenty prompts that nobody has asked before."""
    return [f"{mark} {index}: write two sentences about {SUBJECTS[index % 10]}." for index in range(20)]


def graph(port, mark, length):
    model = {"provider": "Superstep", "baseUrl": f"http://127.0.0.1:{port}/v1", "model": NAME,
             "callsTools": False}
    vertices = [{"name": f"v{index}", "prompt": {"model": "m", "template": text,
                                                  "sampling": {"maxTokens": length}}}
                for index, text in enumerate(prompts(mark))]
    names = [vertex["name"] for vertex in vertices]
    return {"apiVersion": "superstep.dev/v1alpha1", "kind": "AgentGraph", "metadata": {"name": "together"},
            "spec": {"models": [{"name": "m", "external": model}], "entry": names, "outputs": [{"vertex": name} for name in names],
                     "vertices": vertices}}


def together(arguments):
    length = 48
    with Server(arguments.superstep, arguments.model, 20, 512) as server, tempfile.TemporaryDirectory() as folder:
        connection = server.client()
        answer(connection, "Say a word.", 4)
        clock = time.perf_counter()
        answers = [answer(connection, prompt, length) for prompt in prompts("Once")]
        one_by_one = time.perf_counter() - clock
        path = pathlib.Path(folder) / "graph.json"
        path.write_text(json.dumps(graph(server.port, "Next", length)))
        command = [arguments.superstep, "run", "-f", str(path), "--ephemeral", "--output", "json"]
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        clock = time.perf_counter()
        run = subprocess.run(command, capture_output=True, env=environment)
        graph_s = time.perf_counter() - clock
        if run.returncode != 0:
            raise SystemExit(f"the graph fails: {run.stderr.decode()}")
        if len(json.loads(run.stdout)) != 20:
            raise SystemExit(f"the graph has not all of its results: {run.stdout.decode()}")
    tokens = sum(each["usage"]["completion_tokens"] for each in answers)
    return {"calls": 20, "tokens": tokens, "one_by_one_s": one_by_one, "graph_s": graph_s,
            "share": graph_s / one_by_one}


def memory(arguments):
    slots, context = arguments.clients, arguments.context
    with Server(arguments.superstep, arguments.model, slots, context) as server:
        used = lambda words: answer(server.client(), "a b " * words, 1)["usage"]["prompt_tokens"]
        few, more = used(8), used(40)
        each = (more - few) / 32
        words = int((context - 8 - few) / each) + 8
        filled = []

        def fill(client):
            usage = answer(server.client(), f"{client % 10} " + "a b " * (words - 2), 4)["usage"]
            filled.append(usage["prompt_tokens"] + usage["completion_tokens"])

        # At once, so that each has a slot of its own.
        at_once([lambda client=client: fill(client) for client in range(slots)])
        peak = server.peak()
    if min(filled) < context * 0.95:
        raise SystemExit(f"requests of {context} tokens filled {filled}")
    return {"clients": slots, "context": context, "filled": min(filled), "peak": peak}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["first-tokens", "together", "memory"])
    parser.add_argument("--superstep", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--context", type=int, default=1024)
    arguments = parser.parse_args()
    work = {"first-tokens": first_tokens, "together": together, "memory": memory}[arguments.what]
    print(json.dumps(work(arguments)))


main()
