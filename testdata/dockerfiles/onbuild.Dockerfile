FROM ruby:3.3
WORKDIR /usr/src/app
ONBUILD ARG BUNDLE_WITHOUT="development test"
ONBUILD COPY Gemfile Gemfile.lock /usr/src/app/
ONBUILD RUN bundle install
ONBUILD COPY . /usr/src/app
onbuild run <<EOT
echo triggered
EOT
