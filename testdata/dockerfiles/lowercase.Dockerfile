from alpine:3.20 as base
run apk add --no-cache curl
maintainer Someone <someone@example.com>
env one=1 two="2 3" three=4\ 5
env legacy the old form
label version 1.0
copy . /app
cmd /app/run $one
