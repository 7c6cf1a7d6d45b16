#!/usr/bin/env python3
"""llama.cpp: tokens per second of a prompt, of one stream and of a batch of eight, greedy, on one thread."""

import argparse
import json
import resource
import time

import llama_cpp
import numpy

STREAMS = 8
# The library keeps the bare pointer, so the callback has to outlive every call.
SILENT = llama_cpp.llama_log_callback(lambda *_: None)


class Decoder:
    """One context over the model, driven batch by batch."""

    def __init__(self, path):
        llama_cpp.llama_log_set(SILENT, None)
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = 8192
        parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_seq_max = STREAMS
        parameters.n_threads = parameters.n_threads_batch = 1
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(512, 0, 1)

    def clear(self):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def decode(self, rows):
        """Decodes rows of (token, position, stream, wants logits)."""
        self.batch.n_tokens = len(rows)
        for index, (token, position, stream, wanted) in enumerate(rows):
            self.batch.token[index] = token
            self.batch.pos[index] = position
            self.batch.n_seq_id[index] = 1
            self.batch.seq_id[index][0] = stream
            self.batch.logits[index] = wanted
        if llama_cpp.llama_decode(self.context, self.batch) != 0:
            raise SystemExit("llama.cpp cannot decode the batch")

    def logits(self, row):
        logits = llama_cpp.llama_get_logits_ith(self.context, row)
        return numpy.ctypeslib.as_array(logits, shape=(self.vocabulary,))

    def greedy(self, row):
        return int(numpy.argmax(self.logits(row)))

    def prompt(self, length):
        self.clear()
        tokens = [1000 + index * 37 % 20000 for index in range(length)]
        self.decode([(token, at, 0, at == length - 1) for at, token in enumerate(tokens)])
        return self.greedy(length - 1)

    def generate(self, streams, length):
        """Generates `length` tokens on each stream, one batch a position."""
        self.clear()
        tokens = [1000 + 37 * stream for stream in range(streams)]
        for position in range(length):
            self.decode([(token, position, stream, True) for stream, token in enumerate(tokens)])
            tokens = [self.greedy(stream) for stream in range(streams)]


def rates(name, tokens, work):
    """Tokens per second of CPU time, and of the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    work()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return {f"{name}_tokens_per_cpu_s": tokens / cpu, f"{name}_tokens_per_s": tokens / clock}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    path = parser.parse_args().model
    clock, cpu = time.perf_counter(), time.process_time()
    decoder = Decoder(path)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    decoder.prompt(64)
    print(json.dumps({
        "peer": f"llama-cpp-python {llama_cpp.__version__}",
        **rates("pp", 512, lambda: decoder.prompt(512)),
        **rates("tg", 128, lambda: decoder.generate(1, 128)),
        **rates("batch8", STREAMS * 32, lambda: decoder.generate(STREAMS, 32)),
        "load_s": clock,
        "load_cpu_s": cpu,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }))


if __name__ == "__main__":
    main()
