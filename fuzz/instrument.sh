#!/bin/sh
# Cargo calls this in place of rustc. What reads inputs is compiled with the counters that libFuzzer goes by, which the
# stable compiler can do; all else is compiled as ever.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares"
case " $* " in
  *" --crate-name superstep_"* | *" --crate-name cel "* | *" --crate-name minijinja "* | \
  *" --crate-name serde_saphyr "* | *" --crate-name granit_parser "* | *" --crate-name saphyr_parser "* | \
  *" --crate-name llguidance "* | *" --crate-name postcard "*)
    # shellcheck disable=SC2086
    exec "$@" $flags ;;
  *) exec "$@" ;;
esac
