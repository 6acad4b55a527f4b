# syntax=docker/dockerfile:1
FROM debian:12
ARG VERSION=1.2.3
RUN <<EOF
set -eu
apt-get update
apt-get install -y --no-install-recommends ca-certificates
# not a Dockerfile comment
rm -rf /var/lib/apt/lists/*
EOF
RUN <<-'PY' python3
	import sys
	print("$VERSION stays", sys.version)
	PY
COPY <<app.conf <<"raw.conf" /etc/app/
version=$VERSION
path=${HOME:-/root}
app.conf
version=$VERSION
raw.conf
COPY --chmod=755 <<EOF /usr/local/bin/hello
#!/bin/sh
echo "hello $VERSION"
EOF
RUN cat <<A > /a && cat <<B > /b
first
A
second
B
CMD ["hello"]
