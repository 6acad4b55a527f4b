# A comment at the top ends the directives.
# escape=`
FROM alpine
   # an indented comment
RUN echo one && \
    # a comment inside
    echo two && \

    echo three # not a comment
# last comment
LABEL a=b
