//! Fuzzes `gguf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| superstep_fuzz::bounded(superstep_fuzz::gguf, data));
