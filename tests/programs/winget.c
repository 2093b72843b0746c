/* winget ADDRESS PORT: the same as get.c, written for Windows; says the error code that Winsock gives. */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: windows\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET};
    char buffer[4096];
    WSADATA data;
    int count;

    if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 2;
    address.sin_addr.s_addr = inet_addr(argv[1]);
    address.sin_port = htons((u_short)atoi(argv[2]));
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (connect(s, (struct sockaddr *)&address, sizeof address) != 0) {
        printf("connect: %d\n", WSAGetLastError());
        fflush(stdout);
        return 1;
    }
    send(s, request, sizeof request - 1, 0);
    shutdown(s, SD_SEND);
    while ((count = recv(s, buffer, sizeof buffer, 0)) > 0)
        fwrite(buffer, 1, count, stdout);
    fflush(stdout);
    closesocket(s);
    WSACleanup();
    return 0;
}
