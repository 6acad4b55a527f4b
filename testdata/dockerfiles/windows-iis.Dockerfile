# escape=`
# check=skip=JSONArgsRecommended
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
RUN Add-WindowsFeature Web-Server; `
    Remove-Item -Recurse C:\inetpub\wwwroot\*
COPY site\ C:\inetpub\wwwroot\
WORKDIR C:\inetpub\wwwroot
ENV APP_HOME="C:\Program Files\app" `
    LOG_DIR=C:\logs
EXPOSE 80
USER ContainerUser
CMD ping -t localhost
