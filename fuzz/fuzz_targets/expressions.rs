//! Fuzzes `expressions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| superstep_fuzz::bounded(superstep_fuzz::expressions, data));
