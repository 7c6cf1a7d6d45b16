# The same commands as `cargo xtask`, for those who have just.

[private]
default:
    @just --list

# Run every test and check, and print the time of each stage
test *arguments:
    cargo xtask test {{arguments}}

# Run the quickstart graph on a small real model
quickstart *arguments:
    cargo xtask quickstart {{arguments}}

# Measure this project and its peers side by side
bench *arguments:
    cargo xtask bench {{arguments}}

# Write the generated parts of the documents again, and the baseline of the services
generate *arguments:
    cargo xtask generate {{arguments}}

# Check the house rules that a program can check
tidy:
    cargo xtask tidy
