FROM fedora:41
RUN dnf -y install \
        systemd \
        # the name resolver
        systemd-resolved \
        procps-ng \
    && dnf clean all \
    && systemctl mask \
        getty.target \
        "console-getty.service"
STOPSIGNAL SIGRTMIN+3
ENV container docker
ENTRYPOINT [ "/usr/sbin/init", \
             "--log-target=console" ]
