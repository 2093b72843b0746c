/* One byte there and one byte back, over one connection.

   pingpong              serve: prints the port, answers every byte that comes, for one connection after another
   pingpong PORT COUNT   prints the microseconds of a round trip: the median of COUNT */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int made(void) {
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return s;
}

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int serve(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof here;
    int listener = made();
    char byte;
    if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 8)) return 1;
    getsockname(listener, (struct sockaddr *)&here, &size);
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    for (;;) {
        int one = 1, s = accept(listener, NULL, NULL);
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        while (read(s, &byte, 1) == 1)
            if (write(s, &byte, 1) != 1) break;
        close(s);
    }
}

int main(int argc, char **argv) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    double *times;
    int count, s;
    char byte = 'x';
    if (argc < 3) return serve();
    there.sin_port = htons(atoi(argv[1]));
    count = atoi(argv[2]);
    times = calloc(count, sizeof *times);
    s = made();
    if (connect(s, (struct sockaddr *)&there, sizeof there)) return 1;
    for (int i = 0; i < count; i++) {
        double start = now_us();
        if (write(s, &byte, 1) != 1 || read(s, &byte, 1) != 1) return 1;
        times[i] = now_us() - start;
    }
    qsort(times, count, sizeof *times, ascending);
    printf("%.2f\n", times[count / 2]);
    return 0;
}
