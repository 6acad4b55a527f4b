ARG REGISTRY=docker.io/library
ARG TAG=3.20
FROM ${REGISTRY}/alpine:${TAG%.*}.${TAG##*.}
ARG USER_NAME=app
ENV HOME=/home/${USER_NAME} \
    PATH=/opt/bin:${PATH:-/usr/bin} \
    GREETING="it's \"fine\"" \
    PRICE=\$5 \
    LITERAL='$HOME'
WORKDIR ${HOME}/${SUB:-work}
COPY --chown=${USER_NAME}:${USER_NAME} a ${DEST:-.}/
RUN echo ${HOME}
EXPOSE ${PORT:-8080}/tcp
STOPSIGNAL ${SIG:-SIGTERM}
VOLUME ${HOME}/data
