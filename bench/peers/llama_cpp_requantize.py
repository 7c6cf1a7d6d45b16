#!/usr/bin/env python3
"""Writes a GGUF file in another format, quantised by llama.cpp."""

import argparse
import pathlib

import llama_cpp

SILENT = llama_cpp.llama_log_callback(lambda *_: None)


def requantize(source, form, target):
    """Writes `source` in the format called `form`, such as F32 or Q5_K_M, to `target`."""
    name = "LLAMA_FTYPE_ALL_F32" if form == "F32" else f"LLAMA_FTYPE_MOSTLY_{form}"
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, name)
    parameters.allow_requantize = True
    parameters.nthread = 1
    llama_cpp.llama_log_set(SILENT, None)
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), parameters)
    if failed:
        raise SystemExit(f"llama.cpp cannot write {source} as {form}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--format", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    requantize(arguments.model, arguments.format, arguments.out)


if __name__ == "__main__":
    main()
