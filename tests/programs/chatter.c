/* Talks to a server without end, in several threads: small letters there, and what comes back is checked. Ends when nothing
 * works any more. Arguments: the port, and how many connections to make at most. */
#include "results.h"

enum { THREADS = 4, MOST = 50000 };

static int port, left;

static int writes(int s, const char *bytes, int size) {
    for (int at = 0; at < size;) {
        long count = write(s, bytes + at, size - at);
        if (count <= 0) return 0;
        at += count;
    }
    return 1;
}

/* A connection: waited for in connect or by poll, in turns. */
static int open_one(int waits) {
    int s = socket(AF_INET, SOCK_STREAM | (waits ? 0 : SOCK_NONBLOCK), 0), error = 0;
    socklen_t length = sizeof error;
    struct pollfd ready = {.fd = s, .events = POLLOUT};
    if (s < 0) return -1;
    if (connect_to(s, port) == 0) return s;
    if (!waits && errno == EINPROGRESS && poll(&ready, 1, 5000) == 1 && !getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &length) && !error) {
        fcntl(s, F_SETFL, 0);
        return s;
    }
    close(s);
    return -1;
}

static void *talk(void *index) {
    static __thread char bytes[MOST];
    unsigned seed = (unsigned)(long)index + 1;
    while (__sync_fetch_and_sub(&left, 1) > 0) {
        int s = open_one(rand_r(&seed) % 2), size = 1 + rand_r(&seed) % MOST, got = 0;
        if (s < 0) break;
        for (int i = 0; i < size; i++) bytes[i] = 'a' + i % 26;
        int sound = writes(s, bytes, size) && !shutdown(s, SHUT_WR);
        for (long count; sound && (count = read(s, bytes, MOST)) != 0;) {
            if (count < 0) sound = 0;
            for (long i = 0; i < count; i++) if (bytes[i] != 'A' + (got + i) % 26) say("wrong byte"), _exit(1);
            got += count > 0 ? count : 0;
        }
        close(s);
        if (sound && got != size) say("short answer"), _exit(1);
        if (!sound) break;
    }
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t threads[THREADS];
    need(count == 3, "arguments");
    port = atoi(arguments[1]), left = atoi(arguments[2]);
    signal(SIGPIPE, SIG_IGN);
    alarm(60);
    for (long i = 0; i < THREADS; i++) need(!pthread_create(&threads[i], NULL, talk, (void *)i), "a thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    say("over");
    return 0;
}
