# One image for every process of Gantry; docker-compose.yml says which runs where.
ARG BASE_IMAGE=docker.io/library/debian:12-slim
FROM ${BASE_IMAGE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends busybox-static ca-certificates iproute2 nftables python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/gantry
WORKDIR /opt/gantry
RUN ./gantry build && rm -rf /root/.cache /root/.npm

ENV GANTRY_HOME=/var/lib/gantry
ENTRYPOINT ["/opt/gantry/gantry", "run"]
CMD ["web"]
