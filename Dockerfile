# The server as an image that takes the place of supabase/realtime: same port, same program path, no volume, no arguments.
#
#   docker build -t dovetail .
FROM node:22-bookworm-slim AS pages
WORKDIR /src
COPY clients clients
# The pages of the chat become part of the program.
RUN npm ci --prefix clients --no-audit --no-fund && npm run build --prefix clients

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=pages /src/clients/dist clients/dist
# Backtraces with lines cost three times the size; a panic names its place without them.
ENV CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_STRIP=symbols
RUN cargo build --release --locked --bin dovetail

FROM debian:bookworm-slim
# The stack's health check calls sh and curl; ca-certificates verifies a database by a public CA.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin dovetail
# The path under which the Supabase CLI runs the original.
COPY --from=build /src/target/release/dovetail /app/bin/realtime
RUN ln -s /app/bin/realtime /usr/local/bin/dovetail
# As in the original's image: set but empty. The second says that a database of its own would be lost with the container.
ENV SLOT_NAME_SUFFIX="" \
    DOVETAIL_IN_CONTAINER=1
USER 10001
WORKDIR /app
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["sh", "-c", "curl -fsS -o /dev/null \"http://localhost:${PORT:-4000}/healthz\""]
ENTRYPOINT ["dovetail"]
