#
# An old file: MAINTAINER, ADD of everything, ENV and EXPOSE one by one.
#
FROM ubuntu:14.04
MAINTAINER Some Body <somebody@example.org>

ENV DEBIAN_FRONTEND noninteractive
ENV JAVA_HOME  /usr/lib/jvm/java-7-openjdk-amd64
RUN apt-get update
RUN apt-get -y install curl openjdk-7-jre-headless
RUN echo "deb http://archive.example.org/ trusty main" >> /etc/apt/sources.list && \
	apt-get update && \
	apt-get -y install `cat /packages 2>/dev/null` || true
ADD http://downloads.example.org/app.tar.gz /tmp/
ADD . /opt/app
WORKDIR /opt
WORKDIR app
RUN ["chmod", "+x", "bin/start"]
VOLUME ["/var/lib/app", "/var/log/app"]
EXPOSE 8080
EXPOSE 8443/tcp 5353/udp
ONBUILD ADD config /opt/app/config
ONBUILD RUN bin/configure --prefix=/opt/app \
    --quiet
ENTRYPOINT bin/start
