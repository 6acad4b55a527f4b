FROM alpine:3.20
# résumé in Latin-1
MAINTAINER André <a@example.com>
LABEL city=Zürich
CMD ["sh"]
