#!/usr/bin/env python3
"""ONNX Runtime: sentences per CPU second through a BERT sentence model in f32, on one thread.

The graph is put together here from the safetensors of the model, in the operators that exporters write."""

import argparse
import json
import pathlib
import resource
import time

import numpy
import onnx
import onnxruntime
import tokenizers
from onnx import TensorProto, helper, numpy_helper

BATCH = 8


def tensors(path):
    """The tensors of a safetensors file, all of them F32."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        if entry["dtype"] not in ("F32", "I64"):
            raise SystemExit(f"{name} is {entry['dtype']}")
        if entry["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = numpy.frombuffer(data[begin:end], numpy.float32).reshape(entry["shape"])
    return found


class Graph:
    """Nodes and constants, added one after the other."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes, self.constants, self.count = [], {}, 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(value), name)
        return name

    def node(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"{kind}{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def dense(self, rows, name):
        product = self.node("MatMul", rows, self.constant(self.weights[f"{name}.weight"].T))
        return self.node("Add", product, self.constant(self.weights[f"{name}.bias"]))

    def norm(self, rows, name, epsilon):
        scale, bias = (self.constant(self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", rows, scale, bias, axis=-1, epsilon=epsilon)

    def shape(self, *sides):
        return self.constant(numpy.array(sides, numpy.int64))


def layer(graph, rows, mask, prefix, config):
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    dim = hidden // heads
    split, merged = graph.shape(0, 0, heads, dim), graph.shape(0, 0, hidden)

    def projected(name, order):
        part = graph.node("Reshape", graph.dense(rows, f"{prefix}attention.self.{name}"), split)
        return graph.node("Transpose", part, perm=order)

    query, value = (projected(name, [0, 2, 1, 3]) for name in ("query", "value"))
    key = projected("key", [0, 2, 3, 1])
    scores = graph.node("Mul", graph.node("MatMul", query, key), graph.constant(numpy.float32(dim**-0.5)))
    shares = graph.node("Softmax", graph.node("Add", scores, mask), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    mixed = graph.dense(graph.node("Reshape", mixed, merged), f"{prefix}attention.output.dense")
    epsilon = config["layer_norm_eps"]
    middle = graph.norm(graph.node("Add", rows, mixed), f"{prefix}attention.output.LayerNorm", epsilon)
    inner = graph.node("Gelu", graph.dense(middle, f"{prefix}intermediate.dense"))
    outer = graph.dense(inner, f"{prefix}output.dense")
    return graph.norm(graph.node("Add", middle, outer), f"{prefix}output.LayerNorm", epsilon)


def network(folder):
    """The network with the mean of the tokens at its end, as an ONNX model."""
    config = json.loads((folder / "config.json").read_text())
    graph = Graph(tensors(folder / "model.safetensors"))
    if config["hidden_act"] != "gelu":
        raise SystemExit("the activation is not gelu")
    words = graph.node("Gather", graph.constant(graph.weights["embeddings.word_embeddings.weight"]), "ids")
    places = graph.node(
        "Gather", graph.constant(graph.weights["embeddings.position_embeddings.weight"]), "places")
    kind = graph.constant(graph.weights["embeddings.token_type_embeddings.weight"][0])
    rows = graph.node("Add", graph.node("Add", words, places), kind)
    rows = graph.norm(rows, "embeddings.LayerNorm", config["layer_norm_eps"])
    far = graph.node("Sub", "seen", graph.constant(numpy.float32(1)))
    mask = graph.node("Mul", far, graph.constant(numpy.float32(1e9)))
    mask = graph.node("Unsqueeze", mask, graph.shape(1, 2))
    for index in range(config["num_hidden_layers"]):
        rows = layer(graph, rows, mask, f"encoder.layer.{index}.", config)
    own = graph.node("Mul", rows, graph.node("Unsqueeze", "seen", graph.shape(2)))
    total = graph.node("ReduceSum", own, graph.shape(1), keepdims=0)
    # The mean and the sum have the same direction.
    length = graph.node("ReduceL2", total, graph.shape(1), keepdims=1)
    graph.nodes.append(helper.make_node("Div", [total, length], ["vectors"]))
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "tokens"]),
        helper.make_tensor_value_info("places", TensorProto.INT64, ["tokens"]),
        helper.make_tensor_value_info("seen", TensorProto.FLOAT, ["texts", "tokens"]),
    ]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", config["hidden_size"]])]
    made = helper.make_graph(graph.nodes, "sentences", inputs, outputs, list(graph.constants.values()))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


class Embedder:
    def __init__(self, folder):
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_padding()
        sizes = json.loads((folder / "sentence_bert_config.json").read_text())
        self.tokenizer.enable_truncation(sizes["max_seq_length"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        model = network(folder).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def embed(self, texts):
        marked = self.tokenizer.encode_batch(texts)
        ids = numpy.array([text.ids for text in marked], numpy.int64)
        seen = numpy.array([text.attention_mask for text in marked], numpy.float32)
        places = numpy.arange(ids.shape[1], dtype=numpy.int64)
        return self.session.run(["vectors"], {"ids": ids, "places": places, "seen": seen})[0]


def measured(embedder, texts, batch):
    """Sentences per second of CPU and of the clock, once through all texts."""
    wall, cpu = time.perf_counter(), time.process_time()
    for begin in range(0, len(texts), batch):
        embedder.embed(texts[begin:begin + batch])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return len(texts) / cpu, len(texts) / wall


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--texts", type=pathlib.Path, required=True)
    parser.add_argument("--vectors", type=pathlib.Path, help="where the vectors are written, as JSON")
    arguments = parser.parse_args()
    texts = arguments.texts.read_text().splitlines()
    start = time.process_time()
    embedder = Embedder(arguments.model)
    load = time.process_time() - start
    if arguments.vectors:
        arguments.vectors.write_text(json.dumps([embedder.embed([text])[0].tolist() for text in texts]))
    embedder.embed(texts[:BATCH])
    one, one_wall = measured(embedder, texts, 1)
    many, many_wall = measured(embedder, texts, BATCH)
    print(json.dumps({
        "peer": f"ONNX Runtime {onnxruntime.__version__}, onnx {onnx.__version__}",
        "one_per_cpu_s": one,
        "one_per_s": one_wall,
        "batch_per_cpu_s": many,
        "batch_per_s": many_wall,
        "load_cpu_s": load,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }))


main()
