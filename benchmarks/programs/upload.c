/* An upload over one connection, made by a blocking connect or by one that does not block.

   upload                       serve: prints the port, reads whatever comes, for one connection after another
   upload PORT MIB block|wait   prints megabytes a second, from the connect to the end that the server has seen */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[262144];

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int serve(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 8)) return 1;
    getsockname(listener, (struct sockaddr *)&here, &size);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        int s = accept(listener, NULL, NULL);
        while (read(s, buffer, sizeof buffer) > 0) continue;
        close(s);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    long long left;
    double started;
    int s;
    if (argc < 4) return serve();
    there.sin_port = htons(atoi(argv[1]));
    left = atoll(argv[2]) << 20;
    s = socket(AF_INET, SOCK_STREAM, 0);
    started = now_s();
    if (strcmp(argv[3], "wait") == 0) {
        struct pollfd ready = {.fd = s, .events = POLLOUT};
        int error = 0;
        socklen_t size = sizeof error;
        fcntl(s, F_SETFL, O_NONBLOCK);
        if (connect(s, (struct sockaddr *)&there, sizeof there) == 0 || errno != EINPROGRESS) return 1;
        poll(&ready, 1, -1);
        if (getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size) || error) return 1;
        fcntl(s, F_SETFL, 0);
    } else if (connect(s, (struct sockaddr *)&there, sizeof there)) {
        return 1;
    }
    while (left > 0) {
        ssize_t sent = write(s, buffer, left < (long long)sizeof buffer ? (size_t)left : sizeof buffer);
        if (sent <= 0) return 1;
        left -= sent;
    }
    shutdown(s, SHUT_WR);
    if (read(s, buffer, 1) != 0) return 1;
    printf("%f\n", (atoll(argv[2]) << 20) / 1e6 / (now_s() - started));
    return 0;
}
