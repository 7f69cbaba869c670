# Untested: nothing here or in CI has a container engine that could build it. What the tests on a cluster run is the image of `make image`, which
# holds the same: a static binary and authorities, no shell, not root.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /calfed ./cmd/calfed

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /calfed /calfed
USER 65532:65532
ENTRYPOINT ["/calfed"]
