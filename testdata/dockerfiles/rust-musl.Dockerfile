# syntax=docker/dockerfile:1.7
# check=skip=SecretsUsedInArgOrEnv

ARG RUST_VERSION=1.83
ARG DEBIAN=bookworm

FROM --platform=$BUILDPLATFORM rust:${RUST_VERSION}-slim-${DEBIAN} AS base
ARG TARGETPLATFORM
RUN <<-'EOS'
	set -eu
	case "$TARGETPLATFORM" in
	  linux/amd64) echo x86_64-unknown-linux-musl ;;
	  linux/arm64) echo aarch64-unknown-linux-musl ;;
	  *) echo "unsupported: $TARGETPLATFORM" >&2; exit 1 ;;
	esac > /target
EOS
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    rustup target add "$(cat /target)"

FROM base AS planner
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN find crates -name '*.rs' -delete && \
    find crates -type d -empty -delete

FROM base AS build
WORKDIR /src
COPY --from=planner /src .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    --mount=type=secret,id=netrc,target=/root/.netrc,mode=0400 \
    cargo fetch --locked --target "$(cat /target)"
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --offline --release --target "$(cat /target)" \
 && install -D "target/$(cat /target)/release/app" /out/app

FROM scratch
COPY --from=build --link /out/app /app
COPY --from=base --link /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 10001
ENTRYPOINT ["/app"]
