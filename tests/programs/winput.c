/* winput ADDRESS PORT: sends a body, then gets it back, written for Windows; the answer goes to stdout. */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZE 1500001

int main(int argc, char **argv)
{
    static char body[SIZE], buffer[65536], head[128];
    struct sockaddr_in address = {.sin_family = AF_INET};
    WSADATA data;
    int count, sent;

    if (argc != 3 || WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return 2;
    _setmode(_fileno(stdout), _O_BINARY);
    for (int i = 0; i < SIZE; i++)
        body[i] = (char)(i * 31 + (i >> 8));
    address.sin_addr.s_addr = inet_addr(argv[1]);
    address.sin_port = htons((u_short)atoi(argv[2]));
    SOCKET s = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    if (connect(s, (struct sockaddr *)&address, sizeof address) != 0)
        return 3;
    count = sprintf(head, "PUT / HTTP/1.1\r\nHost: windows\r\nContent-Length: %d\r\n\r\n", SIZE);
    send(s, head, count, 0);
    for (int done = 0; done < SIZE; done += sent)
        if ((sent = send(s, body + done, SIZE - done, 0)) <= 0)
            return 4;
    shutdown(s, SD_SEND);
    while ((count = recv(s, buffer, sizeof buffer, 0)) > 0)
        fwrite(buffer, 1, count, stdout);
    fflush(stdout);
    closesocket(s);
    WSACleanup();
    return count < 0 ? 5 : 0;
}
