# The image that templates copy the watchdog from. Build it in the root: docker build -f deploy/watchdog.Dockerfile .
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
WORKDIR /faaslane
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts && node node_modules/esbuild/install.js
COPY http http
COPY watchdog watchdog
RUN node watchdog/bundle.mjs

# One executable, for images without Node: docker build --target executable -f deploy/watchdog.Dockerfile .
FROM build AS make-executable
COPY oci/elf.ts oci/single-executable.ts oci/
RUN node watchdog/executable.mjs

FROM scratch AS executable
COPY --from=make-executable /faaslane/dist/fwatchdog /fwatchdog

FROM scratch
COPY --from=build /faaslane/dist/watchdog.mjs /watchdog.mjs
# For templates: the first process of a container, and what fills a compile cache.
COPY --from=build /usr/bin/tini-static /tini
COPY --from=build /faaslane/watchdog/warm.mjs /warm.mjs
