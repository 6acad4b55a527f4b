#syntax=docker/dockerfile:1-labs
ARG CUDA=12.4.1
ARG OS=ubuntu22.04
FROM nvidia/cuda:${CUDA}-cudnn-devel-${OS} AS wheels
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1
RUN rm -f /etc/apt/apt.conf.d/docker-clean
RUN --mount=type=cache,id=apt-${CUDA},target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=lists-${CUDA},target=/var/lib/apt,sharing=locked \
    apt-get update && apt-get install -y python3-dev python3-pip ninja-build
COPY --parents ./services/*/requirements.txt ./constraints.txt /work/
RUN --mount=type=bind,source=scripts,target=/scripts \
    --network=default --security=sandbox \
    python3 /scripts/collect.py /work > /work/all.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    MAX_JOBS=4 \
    TORCH_CUDA_ARCH_LIST="8.0;8.6;9.0+PTX" \
    pip wheel -r /work/all.txt -w /wheels

FROM nvidia/cuda:${CUDA}-runtime-${OS}
COPY --from=wheels --exclude=*.whl.metadata /wheels /wheels
RUN --mount=type=tmpfs,target=/tmp,size=1g pip install --no-index --find-links /wheels /wheels/*.whl
COPY <<EOF /etc/profile.d/cuda.sh
export CUDA_HOME=/usr/local/cuda-${CUDA%.*}
export PATH=\$CUDA_HOME/bin:\$PATH
EOF
COPY --chmod=0755 <<"ENTRY" /usr/local/bin/entry
#!/bin/sh
# $VARIABLES stay as they are
exec "$@"
ENTRY
ENTRYPOINT ["/usr/local/bin/entry"]
CMD ["python3", "-m", "service"]
