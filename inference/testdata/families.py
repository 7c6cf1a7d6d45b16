"""What llama.cpp computes with tiny models of each family, and into which tokens it splits texts.

The models are those of `TinyModel` of `inference/src/testing.rs`, to the bit: written here anew, with the names of
llama.cpp's own package.

python3 -m venv venv && venv/bin/pip install llama-cpp-python==0.3.36 gguf==0.19.0 numpy==2.4.6
venv/bin/python families.py > families.json
"""

import json
import pathlib
import tempfile

import gguf
import llama_cpp
import numpy

LAYERS, HEADS, KEY_VALUE_HEADS, HIDDEN, EXPERTS = 2, 4, 2, 64, 4
TOKENS = [7 + 11 * index % 250 for index in range(24)]
POSITIONS = [14, 23]
MERGES = [("t", "h"), ("th", "e"), ('"', ":"), ('"', ","), ('":', '"'), ("\u0120", "a")]
CASES = {
    "llama-linear": {"architecture": "llama", "scaling": "linear"},
    "llama-yarn": {"architecture": "llama", "scaling": "yarn"},
    "llama-factors": {"architecture": "llama", "scaling": "factors"},
    "llama-mixture": {"architecture": "llama", "mixture": True},
    "qwen2": {"architecture": "qwen2"},
    "qwen3": {"architecture": "qwen3"},
    "qwen2moe": {"architecture": "qwen2moe", "untied": True},
    "qwen3moe": {"architecture": "qwen3moe"},
    "gemma2": {"architecture": "gemma2"},
    "gemma3": {"architecture": "gemma3"},
    "phi3": {"architecture": "phi3", "window": 0},
    "phi3-short": {"architecture": "phi3", "window": 0, "scaling": "longrope", "context": 256},
    "phi3-long": {"architecture": "phi3", "window": 0, "scaling": "longrope"},
}
TEXTS = [
    "the",
    " the and",
    "the  and\n\nthen a",
    "<s>the<|end|>\n the",
    "<start_of_turn>user\nhand \u00fc \u4e2d<end_of_turn>\n",
    "<unk>",
    "",
]


class Random:
    """SplitMix64, as numbers between -1 and 1."""

    def __init__(self, seed):
        self.state = seed

    def floats(self, count):
        steps = numpy.arange(1, count + 1, dtype=numpy.uint64)
        z = numpy.uint64(self.state) + steps * numpy.uint64(0x9E3779B97F4A7C15)
        if count:
            self.state = int(z[-1])
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        high = ((z ^ (z >> numpy.uint64(31))) >> numpy.uint64(40)).astype(numpy.float32)
        return high / numpy.float32(1 << 23) - numpy.float32(1)


def parts(model, vocabulary):
    """Names, shapes and what tensors are filled with: a matrix, floats around one, or always the same."""
    architecture = model["architecture"]
    gemma = architecture in ("gemma2", "gemma3")
    old = architecture in ("llama", "qwen2", "qwen3")
    experts = model.get("mixture") or architecture.endswith("moe")
    dim = HIDDEN // HEADS * (2 if gemma else 1)
    query, key, wide = HEADS * dim, KEY_VALUE_HEADS * dim, 2 * HIDDEN
    sides = (("q", query), ("k", key), ("v", key))
    near = (lambda value: ("same", value)) if old else (lambda value: ("near", value))
    yield "token_embd.weight", (vocabulary, HIDDEN), "matrix"
    if model.get("untied"):
        yield "output.weight", (vocabulary, HIDDEN), "matrix"
    pairs = (HIDDEN // HEADS // 2,)
    if model.get("scaling") == "factors":
        yield "rope_freqs.weight", pairs, ("near", 2.0)
    if model.get("scaling") == "longrope":
        yield "rope_factors_long.weight", pairs, ("near", 3.0)
        yield "rope_factors_short.weight", pairs, ("near", 1.5)
    for layer in range(LAYERS):
        own = []
        if architecture == "phi3":
            own.append(("attn_qkv.weight", (query + 2 * key, HIDDEN), "matrix"))
        else:
            own += [(f"attn_{name}.weight", (rows, HIDDEN), "matrix") for name, rows in sides]
        own.append(("attn_output.weight", (HIDDEN, query), "matrix"))
        if architecture == "phi3":
            own.append(("ffn_up.weight", (2 * wide, HIDDEN), "matrix"))
            own.append(("ffn_down.weight", (HIDDEN, wide), "matrix"))
        elif experts:
            own.append(("ffn_gate_inp.weight", (EXPERTS, HIDDEN), "matrix"))
            own.append(("ffn_gate_exps.weight", (EXPERTS, wide, HIDDEN), "matrix"))
            own.append(("ffn_up_exps.weight", (EXPERTS, wide, HIDDEN), "matrix"))
            own.append(("ffn_down_exps.weight", (EXPERTS, HIDDEN, wide), "matrix"))
            if architecture == "qwen2moe":
                own.append(("ffn_gate_inp_shexp.weight", (1, HIDDEN), ("near", 0.0)))
                own += [(f"ffn_{name}_shexp.weight", (HIDDEN, HIDDEN), "matrix") for name in ("gate", "up", "down")]
        else:
            own.append(("ffn_gate.weight", (wide, HIDDEN), "matrix"))
            own.append(("ffn_up.weight", (wide, HIDDEN), "matrix"))
            own.append(("ffn_down.weight", (HIDDEN, wide), "matrix"))
        if architecture in ("qwen2", "qwen2moe"):
            own += [(f"attn_{name}.bias", (rows,), near(0.1)) for name, rows in sides]
        if architecture in ("qwen3", "qwen3moe", "gemma3"):
            own += [(f"attn_{name}_norm.weight", (dim,), near(1.5)) for name in "qk"]
        own += [(f"{name}.weight", (HIDDEN,), near(1.0)) for name in ("attn_norm", "ffn_norm")]
        if gemma:
            own += [(f"{name}.weight", (HIDDEN,), near(1.0)) for name in ("post_attention_norm", "post_ffw_norm")]
        for name, shape, fill in own:
            yield f"blk.{layer}.{name}", shape, fill
    yield "output_norm.weight", (HIDDEN,), near(1.0)


def fill(shape, fill, random):
    count = int(numpy.prod(shape))
    if fill == "matrix":
        scale = numpy.float32(2) / numpy.sqrt(numpy.float32(shape[-1]))
        return (random.floats(count) * scale).reshape(shape)
    kind, value = fill
    if kind == "same":
        return numpy.full(shape, value, dtype=numpy.float32)
    return (numpy.float32(value) + numpy.float32(0.5) * random.floats(count)).reshape(shape)


def put_network(writer, model):
    architecture = model["architecture"]
    writer.add_context_length(model.get("context", 512))
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    if architecture in ("gemma2", "gemma3"):
        writer.add_key_length(2 * HIDDEN // HEADS)
        writer.add_value_length(2 * HIDDEN // HEADS)
    if architecture in ("gemma2", "gemma3", "phi3"):
        writer.add_sliding_window(model.get("window", 8))
    if architecture == "gemma2":
        writer.add_attn_logit_softcapping(2.0)
        writer.add_final_logit_softcapping(3.0)
    if architecture == "gemma3":
        writer.add_sliding_window_pattern(2)
        writer.add_float32("gemma3.rope.freq_base_swa", 100.0)
    if model.get("mixture") or architecture.endswith("moe"):
        writer.add_expert_count(EXPERTS)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(2 * HIDDEN)
    if architecture == "qwen2moe":
        writer.add_expert_shared_feed_forward_length(HIDDEN)
    if model.get("scaling") == "longrope":
        writer.add_rope_scaling_orig_ctx_len(256)
        writer.add_rope_scaling_attn_factors(1.25)
    elif model.get("scaling") in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(model["scaling"]))
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_scaling_orig_ctx_len(128)


def printable(byte):
    if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or 0xAE <= byte:
        return chr(byte)
    others = [other for other in range(256) if not (0x21 <= other <= 0x7E or 0xA1 <= other <= 0xAC or 0xAE <= other)]
    return chr(0x100 + others.index(byte))


def put_byte_pairs(writer):
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [printable(byte) for byte in range(256)]
    tokens += [left + right for left, right in MERGES]
    types = [3] * 3 + [1] * (len(tokens) - 3)
    while len(tokens) % 32:
        tokens.append(f"<|pad{len(tokens)}|>")
        types.append(3)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([f"{left} {right}" for left, right in MERGES])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return len(tokens)


def put_pieces(writer, prefixes_space):
    controls = "<s> </s> <start_of_turn> <end_of_turn> <|user|> <|assistant|> <|end|> <|endoftext|>".split(" ")
    pieces = "\u2581 t h e a n d th an \u2581a \u2581t \u2581th \u2581the \u2581and".split(" ")
    tokens = [("<unk>", 2, 0.0)] + [(name, 3, 0.0) for name in controls]
    tokens += [(f"<0x{byte:02X}>", 6, 0.0) for byte in range(256)]
    tokens += [(name, 4, 0.0) for name in ("\n\n", "  ")]
    tokens += [(name, 1, score - 20.0) for score, name in enumerate(pieces)]
    while len(tokens) % 32:
        tokens.append((f"<unused{len(tokens)}>", 3, 0.0))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([name for name, _, _ in tokens])
    writer.add_token_types([kind for _, kind, _ in tokens])
    writer.add_token_scores([score for _, _, score in tokens])
    writer.add_add_space_prefix(prefixes_space)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return len(tokens)


def load(model, name, put_tokenizer, vocabulary_only=False):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tiny.gguf"
        writer = gguf.GGUFWriter(path, model["architecture"])
        writer.add_name(name)
        put_network(writer, model)
        vocabulary = put_tokenizer(writer)
        random = Random(1)
        for part, shape, what in parts(model, vocabulary):
            writer.add_tensor(part, fill(shape, what, random))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return llama_cpp.Llama(
            str(path), n_ctx=model.get("context", 512), n_batch=64, n_threads=1, logits_all=not vocabulary_only,
            type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, vocab_only=vocabulary_only,
            use_mmap=False, verbose=False,
        )


def logits(name, model):
    llama = load(model, "tiny", put_byte_pairs)
    llama.eval(TOKENS)
    rows = [[float(f"{value:.5g}") for value in llama.scores[position]] for position in POSITIONS]
    return {"name": name, "logits": rows}


def splits(name, architecture, prefixes_space):
    put = lambda writer: put_pieces(writer, prefixes_space)
    llama = load({"architecture": architecture, "window": 0}, name, put)
    tokens = [llama.tokenize(text.encode(), add_bos=False, special=True) for text in TEXTS]
    return {"architecture": architecture, "prefixesSpace": prefixes_space, "tokens": tokens}


def main():
    families = [json.dumps(logits(name, model)) for name, model in CASES.items()]
    # Whether white space is left out behind control tokens llama.cpp tells by the name of the model.
    cases = [("tiny", "llama", True), ("tiny", "gemma2", False)]
    cases += [("tiny phi-3", "phi3", True), ("tiny phi-3", "phi3", False)]
    texts = [json.dumps(splits(*case)) for case in cases]
    print('{"tokens": ' + json.dumps(TOKENS) + ', "positions": ' + json.dumps(POSITIONS) + ", \"families\": [")
    print(",\n".join(families) + '\n], "texts": ' + json.dumps(TEXTS) + ', "splits": [')
    print(",\n".join(texts) + "\n]}")


main()
