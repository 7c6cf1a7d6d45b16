#!/usr/bin/env python3
"""What llama.cpp says of texts position by position, as the example `reading` of superstep-inference compares it.

Of prompts: what it writes after each of them, greedy. Of a document: what comes next, in windows from its beginning.
The model may be read in f32, as its weights are when they are dequantised, so that nothing of it is quantised again."""

import argparse
import json
import pathlib
import tempfile

import llama_cpp
import numpy
from llama_cpp_requantize import requantize
from peer_llama_cpp import Decoder

# Where it leads by less, engines may differ by the rounding of activations.
MARGIN = 0.3
WINDOW = 512


class Reader(Decoder):
    """A decoder that tells of each position what it says of the next token."""

    def tokens(self, text):
        data = text.encode()
        vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        room = (llama_cpp.llama_token * (len(data) + 8))()
        count = llama_cpp.llama_tokenize(vocabulary, data, len(data), room, len(room), False, True)
        if count < 0:
            raise SystemExit(f"llama.cpp cannot split {text!r}")
        return list(room[:count])

    def ends(self, token):
        return llama_cpp.llama_vocab_is_eog(llama_cpp.llama_model_get_vocab(self.model), token)

    def said(self, row):
        """The likeliest next token, its lead, and the log-probabilities of all."""
        logits = self.logits(row).astype(numpy.float64)
        second, best = numpy.argpartition(logits, -2)[-2:]
        if logits[second] > logits[best]:
            second, best = best, second
        top = logits[best]
        return int(best), float(top - logits[second]), logits - top - numpy.log(numpy.exp(logits - top).sum())

    def written(self, prompt, length):
        """What it writes after a prompt."""
        self.clear()
        tokens = self.tokens(prompt)
        first = len(tokens) - 1
        sequence = {"text": prompt, "first": first, "best": [], "margins": [], "logprobs": []}
        self.decode([(token, at, 0, at == first) for at, token in enumerate(tokens)])
        best, margin, logprobs = self.said(first)
        while True:
            sequence["best"].append(best)
            sequence["margins"].append(margin)
            if len(sequence["best"]) > length or self.ends(best):
                return {**sequence, "tokens": tokens}
            sequence["logprobs"].append(float(logprobs[best]))
            tokens.append(best)
            self.decode([(best, len(tokens) - 1, 0, True)])
            best, margin, logprobs = self.said(0)

    def read(self, tokens):
        """What it says of given tokens."""
        self.clear()
        self.decode([(token, at, 0, True) for at, token in enumerate(tokens)])
        sequence = {"tokens": tokens, "first": 0, "best": [], "margins": [], "logprobs": []}
        for at in range(len(tokens)):
            best, margin, logprobs = self.said(at)
            sequence["best"].append(best)
            sequence["margins"].append(margin)
            if at + 1 < len(tokens):
                sequence["logprobs"].append(float(logprobs[tokens[at + 1]]))
        return sequence


def asked(line):
    return f"<|im_start|>user\n{line}<|im_end|>\n<|im_start|>assistant\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--prompts", type=pathlib.Path, help="a prompt in each line")
    parser.add_argument("--document", type=pathlib.Path, help="a text to read")
    parser.add_argument("--length", type=int, required=True, help="tokens after each prompt, or of the document")
    parser.add_argument("--exact", action="store_true", help="with the weights as f32")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.model
        if arguments.exact:
            path = pathlib.Path(folder) / "exact.gguf"
            requantize(arguments.model, "F32", path)
        reader = Reader(str(path))
        if arguments.prompts:
            lines = arguments.prompts.read_text().splitlines()
            sequences = [reader.written(asked(line), arguments.length) for line in lines]
        else:
            tokens = reader.tokens(arguments.document.read_text())[:arguments.length]
            windows = range(0, len(tokens), WINDOW)
            sequences = [reader.read(tokens[begin:begin + WINDOW]) for begin in windows]
    arguments.out.write_text(json.dumps({"margin": MARGIN, "sequences": sequences}))


main()
