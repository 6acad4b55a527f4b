FROM alpine:3.20
RUN echo one \
    && echo two
COPY <<EOF /note
line one
EOF
ENV A=b
CMD ["sh"]
