FROM python:3.12-slim
LABEL org.opencontainers.image.title="report runner" \
      org.opencontainers.image.description="Runs \"nightly\" reports" \
      maintainer='ops team'
ENV VIRTUAL_ENV=/opt/venv
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
RUN python -m venv $VIRTUAL_ENV
COPY requirements.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt && \
    rm /tmp/requirements.txt
COPY --chmod=0755 docker/entrypoint.sh /usr/local/bin/
COPY reports /srv/reports
VOLUME ["/srv/data", "/srv/out put"]
ENTRYPOINT ["entrypoint.sh"]
