ARG BASE=eclipse-temurin:21
FROM ${BASE}-jdk AS builder
COPY --parents ./**/*.gradle.kts gradle.properties /build/
COPY --exclude=**/*.md --exclude=docs src /build/src
WORKDIR /build
RUN ["./gradlew", "--no-daemon", "bootJar"]
RUN java -Djarmode=layertools -jar build/libs/app.jar extract

FROM ${BASE}-jre
COPY --link --from=builder /build/dependencies/ ./
COPY --link --from=builder /build/application/ ./
ENTRYPOINT ["java", "org.springframework.boot.loader.launch.JarLauncher"]
