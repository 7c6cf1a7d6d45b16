"""Reference vectors for the test of embeddings: BERT in double precision, apart from any tensor library.

python3 -m venv venv && venv/bin/pip install numpy==2.1.3 tokenizers==0.21.0
venv/bin/python embeddings.py ~/.cache/superstep/models/all-MiniLM-L6-v2 > embeddings.json
"""

import json
import math
import pathlib
import struct
import sys

import numpy
from tokenizers import BertWordPieceTokenizer

SENTENCES = [
    "The invoice is wrong: it charges me twice.",
    "I was billed two times for the same order.",
    "How do I cook rice?",
    "Zürich, 3 µm — naïve café; 東京 🦀 [SEP-free] e-mail: a.b@c.de",
    "",
    "word " * 300,
]
folder = pathlib.Path(sys.argv[1])
config = json.loads((folder / "config.json").read_text())
longest = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
heads, epsilon = config["num_attention_heads"], config["layer_norm_eps"]

raw = (folder / "model.safetensors").read_bytes()
(header_length,) = struct.unpack("<Q", raw[:8])
header = json.loads(raw[8 : 8 + header_length])


def tensor(name):
    begin, end = header[name]["data_offsets"]
    floats = numpy.frombuffer(raw[8 + header_length + begin : 8 + header_length + end], dtype="<f4")
    return floats.reshape(header[name]["shape"]).astype(numpy.float64)


def dense(x, name):
    return x @ tensor(name + ".weight").T + tensor(name + ".bias")


def norm(x, name):
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / numpy.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return scaled * tensor(name + ".weight") + tensor(name + ".bias")


def softmax(x):
    weights = numpy.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def split(x):
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def embed(ids):
    words, positions = tensor("embeddings.word_embeddings.weight"), tensor("embeddings.position_embeddings.weight")
    kind = tensor("embeddings.token_type_embeddings.weight")[0]
    x = norm(words[ids] + positions[: len(ids)] + kind, "embeddings.LayerNorm")
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        query, key, value = (split(dense(x, prefix + "attention.self." + part)) for part in ("query", "key", "value"))
        weights = softmax(query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1]))
        attended = (weights @ value).transpose(1, 0, 2).reshape(x.shape)
        x = norm(x + dense(attended, prefix + "attention.output.dense"), prefix + "attention.output.LayerNorm")
        inner = dense(x, prefix + "intermediate.dense")
        inner = inner * 0.5 * (1 + numpy.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + dense(inner, prefix + "output.dense"), prefix + "output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / numpy.linalg.norm(mean)


tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
tokenizer.enable_truncation(longest)
rows = []
for sentence in SENTENCES:
    ids = tokenizer.encode(sentence).ids
    rows.append({"text": sentence, "tokens": len(ids), "vector": [float(f"{x:.7g}") for x in embed(ids)]})
print("[" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "]")
