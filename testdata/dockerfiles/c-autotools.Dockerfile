from debian:12 as src
arg VERSION=2.4.1
arg SHA256=0000000000000000000000000000000000000000000000000000000000000000
add --checksum=sha256:${SHA256} https://downloads.example.org/lib-${VERSION}.tar.gz /lib.tar.gz
run set -eux; \
	savedAptMark="$(apt-mark showmanual)"; \
	apt-get update; \
	apt-get install -y --no-install-recommends \
		autoconf \
		gcc \
		make \
	; \
	rm -rf /var/lib/apt/lists/*; \
	\
	mkdir -p /usr/src/lib; \
	tar -xzf /lib.tar.gz -C /usr/src/lib --strip-components=1; \
	cd /usr/src/lib; \
	gnuArch="$(dpkg-architecture --query DEB_BUILD_GNU_TYPE)"; \
	./configure \
		--build="$gnuArch" \
		--prefix=/usr \
		--with-options="a b \
c" \
	; \
	make -j "$(nproc)"; \
	make install; \
	\
	apt-mark auto '.*' > /dev/null; \
	[ -z "$savedAptMark" ] || apt-mark manual $savedAptMark > /dev/null; \
	find /usr/local -type f -executable -exec ldd '{}' ';' \
		| awk '/=>/ { so = $(NF-1); if (index(so, "/usr/local/") == 1) { next }; gsub("^/(usr/)?", "", so); print so }' \
		| sort -u \
		| xargs -r dpkg-query --search \
		| cut -d: -f1 \
		| sort -u \
		| xargs -r apt-mark manual \
	; \
	apt-get purge -y --auto-remove -o APT::AutoRemove::RecommendsImportant=false
cmd ["lib-tool", "--version"]
