/* get ADDRESS PORT: one HTTP/1.0 request over a blocking socket; what comes back goes to stdout. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET};
    char buffer[65536];
    ssize_t count;

    if (argc != 3)
        return 2;
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    address.sin_port = htons(atoi(argv[2]));
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&address, sizeof address) != 0) {
        printf("connect: %s\n", strerror(errno));
        return 1;
    }
    if (write(s, request, sizeof request - 1) != sizeof request - 1)
        return 3;
    shutdown(s, SHUT_WR);
    while ((count = read(s, buffer, sizeof buffer)) > 0)
        fwrite(buffer, 1, count, stdout);
    close(s);
    return 0;
}
