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

# Run the engine in a simulated world: seeds, shapes, crashes, planted mistakes
sim *arguments:
    cargo xtask sim {{arguments}}

# Kill, stop, cut off and starve real worker processes
faults *arguments:
    cargo xtask faults {{arguments}}

# Do with Superstep on a real Kubernetes what users and accidents do
e2e *arguments:
    cargo xtask e2e {{arguments}}

# Give what reads inputs many that nobody wrote
fuzz *arguments:
    cargo xtask fuzz {{arguments}}

# Build the images of the cluster's parts
images *arguments:
    cargo xtask images {{arguments}}

# Keep a Kubernetes of one node on this machine
testbed *arguments:
    cargo xtask testbed {{arguments}}

# Write the generated parts of the documents again, and the baseline of the services
generate *arguments:
    cargo xtask generate {{arguments}}

# Check the house rules that a program can check
tidy:
    cargo xtask tidy
