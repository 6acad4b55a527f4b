FROM composer:2 AS vendor
COPY composer.* /app/
RUN composer install --no-dev --prefer-dist --ignore-platform-reqs

FROM php:8.3-apache
RUN set -eux; \
	apt-get update; \
	apt-get install -y --no-install-recommends libpng-dev libzip-dev; \
	docker-php-ext-install gd zip pdo_mysql; \
	rm -rf /var/lib/apt/lists/*
COPY --from=vendor /app/vendor /var/www/html/vendor
COPY . /var/www/html
RUN chown -R www-data:www-data /var/www/html/storage \
	&& a2enmod rewrite headers
HEALTHCHECK --interval=1m30s --start-period=10s \
	CMD curl -fsS http://localhost/health || exit 1
