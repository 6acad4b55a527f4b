# syntax=docker/dockerfile:1.7
ARG GO_VERSION=1.24
ARG ALPINE_VERSION=3.20

# build compiles the service.
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-alpine${ALPINE_VERSION} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build,sharing=locked \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /out/service ./cmd/service

FROM gcr.io/distroless/static:nonroot
COPY --from=build --chown=65532:65532 /out/service /service
USER 65532:65532
EXPOSE 8080/tcp 9090
HEALTHCHECK --interval=30s --timeout=3s --retries=2 CMD ["/service", "-health"]
ENTRYPOINT ["/service"]
CMD ["-listen", ":8080"]
