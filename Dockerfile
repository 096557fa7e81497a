# Caddy with the module, built from this checkout.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /media-offload-caddy ./cmd/media-offload-caddy

FROM debian:bookworm-slim
RUN apt-get update \
	&& apt-get install --yes --no-install-recommends ca-certificates mailcap \
	&& rm -rf /var/lib/apt/lists/* \
	# The same user as PHP in Debian's and Docker's PHP images, so that both may
	# read and mark the media files.
	&& mkdir -p /config /data /srv /etc/caddy && chown 33:33 /config /data /srv
COPY --from=build /media-offload-caddy /usr/bin/caddy
COPY Caddyfile.example /etc/caddy/Caddyfile
WORKDIR /srv
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data PWD=/srv
VOLUME /config /data
EXPOSE 8080 8081
USER 33:33
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
