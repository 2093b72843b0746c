/* connector PORT COUNT: connects and closes COUNT times (after a tenth as many to warm up); prints microseconds each.
   Closes with a reset, so that no port waits in TIME_WAIT. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void once(const struct sockaddr_in *address) {
    struct linger reset = {1, 0};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0 || connect(s, (const struct sockaddr *)address, sizeof *address)) {
        perror("connect");
        exit(1);
    }
    setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(s);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int count = atoi(argv[2]);
    if (argc < 3) return 2;
    address.sin_port = htons(atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count / 10; i++) once(&address);
    double start = now();
    for (int i = 0; i < count; i++) once(&address);
    printf("%.3f\n", (now() - start) / count);
    return 0;
}
