FROM alpine:3.20
SHELL ["/bin/ash", "-eo", "pipefail", "-c"]
# Arithmetic, command substitution and redirections are no here-documents.
RUN n=$((1<<4)); \
    for f in a b c; do \
      echo "$f: ${n}"; \
      if [ "$f" = b ]; then echo 'it is b' >&2; fi; \
    done
RUN cat <<A <<-'B' > /both && wc -l < /both
first $((1 + 1))
A
	second $HOME
	B
RUN printf '%s\n' \
      "one # no comment" \
      'two \ three' \
      \
      "four" | sort -r > /sorted
RUN <<PYTHON cat > /script.py
import sys
print("""<<EOF
EOF""", sys.argv)
PYTHON
RUN --mount=type=ssh,required=false test -z "${SSH_AUTH_SOCK:-}" || ssh-add -l
RUN test "${EMPTY-unset}" = unset \
 && test "${EMPTY:+set}" = "" \
 && x=`echo "quoted in backticks"` \
 && echo "$x"
