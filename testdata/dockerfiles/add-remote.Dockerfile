FROM alpine:3.20
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.com/tool.tgz /tmp/
ADD --keep-git-dir=true https://github.com/example/project.git#v1.0:docs /docs
ADD --unpack=true --chown=1000:1000 https://example.com/tree.tar.xz /opt/tree/
ADD rootfs.tar.gz /
RUN --network=none --security=sandbox tar -C /usr/local -xzf /tmp/tool.tgz
