# syntax=docker/dockerfile:1

# The Jsonnet addon finds libjsonnet.so by the absolute path of its build folder, so it is built at the path where it
# will run: /opt/patchpanel in both stages.
FROM node:24-bookworm-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates cmake g++ make \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/patchpanel
# Headers of the image's own Node, so that cmake-js downloads none.
ENV npm_config_nodedir=/usr/local
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts \
  && npm rebuild --foreground-scripts @hanazuki/node-jsonnet
COPY tsconfig.json tsconfig.build.json ./
COPY cmd cmd
COPY reconcile reconcile
COPY templates templates
COPY sandbox sandbox
RUN npx tsc -p tsconfig.build.json
RUN npm prune --omit=dev --ignore-scripts \
  && node templates/image/slim.ts node_modules

# No shell, no package manager, no compiler.
FROM gcr.io/distroless/nodejs24-debian12:nonroot
WORKDIR /opt/patchpanel
COPY --from=build /opt/patchpanel/package.json ./
COPY --from=build /opt/patchpanel/node_modules node_modules
COPY --from=build /opt/patchpanel/templates templates
COPY --from=build /opt/patchpanel/dist dist
ENV NODE_ENV=production
# Runs with a read-only root; what it must write goes to $TMPDIR (/tmp), which a pod mounts as an emptyDir.
USER 65532:65532
ENTRYPOINT ["/nodejs/bin/node", "/opt/patchpanel/dist/cmd/patchpanel.js"]
CMD ["--help"]
