# escape=`
ARG TAG=ltsc2022
FROM mcr.microsoft.com/dotnet/sdk:8.0-windowsservercore-$TAG AS build
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"]
WORKDIR C:\src
COPY *.sln .
COPY src\App\*.csproj src\App\
RUN dotnet restore
COPY . .
RUN dotnet publish src\App `
    -c Release `
    # the runtime is in the base image
    --no-self-contained `
    -o C:\out; `
    Remove-Item -Recurse -Force C:\src\src\App\obj

FROM mcr.microsoft.com/dotnet/aspnet:8.0-nanoserver-$TAG
WORKDIR C:\app
COPY --from=build ["C:\\out", "C:\\app\\"]
USER ContainerUser
ENV ASPNETCORE_URLS=http://+:8080 PATH="C:\app;C:\Windows\System32"
EXPOSE 8080
ENTRYPOINT ["dotnet", "App.dll"]
