FROM mcr.microsoft.com/windows/nanoserver:ltsc2022
COPY ["bin/", "C:/app/"]
WORKDIR C:/app
ENTRYPOINT ["C:\\app\\service.exe", "--console"]
