# The images of Superstep, a target for each: operator, worker, worker-cuda, command.
#
# `cargo xtask images` makes the folder that this is built in: `root`, the files that all have, the binaries, and
# `libraries`, those of the one binary that is not linked statically. So the images stand on nothing, and a build that
# changes only the code changes only the last layer of each.

FROM scratch AS base
COPY root/ /
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /tmp
USER 65532:65532

FROM base AS operator
ENTRYPOINT ["/superstep-operator"]
COPY superstep-operator /superstep-operator

FROM base AS worker
ENTRYPOINT ["/superstep-worker"]
COPY superstep-worker /superstep-worker

FROM base AS worker-cuda
# The container runtime of a node with GPUs puts its driver where these say.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENTRYPOINT ["/superstep-worker"]
COPY libraries/ /
COPY superstep-worker-cuda /superstep-worker

FROM base AS command
ENTRYPOINT ["/superstep"]
COPY superstep /superstep
