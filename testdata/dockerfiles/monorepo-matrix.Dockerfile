# One file for every service of the repository: docker build --target SERVICE
ARG REGISTRY=registry.example.org
ARG NODE_TAG=20-slim
ARG GO_TAG=1.23

FROM ${REGISTRY}/library/node:${NODE_TAG} AS node-base
WORKDIR /repo
RUN corepack enable
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
RUN pnpm fetch

FROM node-base AS web-build
COPY web web
RUN pnpm install --offline --filter ./web... && pnpm --filter ./web run build

FROM node-base AS admin-build
COPY admin admin
RUN pnpm install --offline --filter ./admin... && pnpm --filter ./admin run build

FROM ${REGISTRY}/library/golang:${GO_TAG} AS go-base
WORKDIR /repo
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
COPY go.mod go.sum ./
RUN go mod download
COPY . .

FROM go-base AS api-build
RUN go build -o /out/api ./cmd/api
FROM go-base AS worker-build
RUN go build -o /out/worker ./cmd/worker
FROM go-base AS test
RUN go vet ./... && go test ./...

FROM nginx:1.27 AS web
COPY --from=web-build /repo/web/dist /usr/share/nginx/html
FROM nginx:1.27 AS admin
COPY --from=admin-build /repo/admin/dist /usr/share/nginx/html
COPY --from=nginx:1.27-perl /etc/nginx/mime.types /etc/nginx/mime.types

FROM gcr.io/distroless/static AS api
COPY --from=api-build /out/api /
ENTRYPOINT ["/api"]

FROM gcr.io/distroless/static AS worker
COPY --from=worker-build /out/worker /
ENTRYPOINT ["/worker"]
