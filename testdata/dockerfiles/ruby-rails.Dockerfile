FROM ruby:3.3-alpine AS assets

RUN apk add --no-cache \
      build-base \
      # for the database client
      postgresql-dev \
      # for the asset pipeline
      nodejs \
      yarn \
      tzdata

WORKDIR /app
ENV RAILS_ENV=production \
    BUNDLE_WITHOUT="development:test" \
    BUNDLE_DEPLOYMENT=1
COPY Gemfile Gemfile.lock .ruby-version ./
RUN bundle config set --local jobs "$(nproc)" \
    && bundle install \
    && rm -rf vendor/bundle/ruby/*/cache \
    && find vendor/bundle -name "*.o" -delete
COPY package.json yarn.lock ./
RUN yarn install --frozen-lockfile
COPY . .
RUN SECRET_KEY_BASE=dummy bundle exec rails assets:precompile

FROM ruby:3.3-alpine
LABEL org.opencontainers.image.title="shop" \
      org.opencontainers.image.description="A shop that sells \"things\", and 'more'" \
      org.opencontainers.image.licenses=MIT
RUN apk add --no-cache libpq tzdata && addgroup -S app && adduser -S -G app app
WORKDIR /app
ENV RAILS_ENV production
ENV RAILS_LOG_TO_STDOUT yes please
COPY --from=assets --chown=app:app /app /app
USER app:app
EXPOSE 3000
VOLUME /app/storage /app/tmp
HEALTHCHECK --interval=10s --timeout=2s --start-period=20s --retries=6 \
  CMD wget -q -O - http://127.0.0.1:3000/up || exit 1
STOPSIGNAL SIGQUIT
CMD bundle exec puma -C config/puma.rb
