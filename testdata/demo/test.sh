#!/bin/sh
set -e
[ "$(GREETING=Hi "$1" you | cut -d' ' -f1,2)" = "Hi, you!" ]
"$1" --check
echo "all tests passed"
