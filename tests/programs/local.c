/* local PATH: what programs do with sockets that are no network: netlink (getifaddrs), AF_UNIX by path and in pairs. */
#define _GNU_SOURCE
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void interfaces(void)
{
    struct ifaddrs *all, *one;

    if (getifaddrs(&all) != 0) {
        perror("getifaddrs");
        return;
    }
    for (one = all; one; one = one->ifa_next)
        if (one->ifa_addr)
            printf("%s %d\n", one->ifa_name, one->ifa_addr->sa_family);
    freeifaddrs(all);
}

static int say(int s)
{
    char buffer[64];
    ssize_t count;

    if (write(s, "ping", 4) != 4 || (count = read(s, buffer, sizeof buffer)) < 0)
        return 1;
    printf("%.*s\n", (int)count, buffer);
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}, name;
    struct ucred peer;
    socklen_t length = sizeof name, size = sizeof peer;
    int pair[2];

    if (argc != 2)
        return 2;
    interfaces();
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(s, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        return 1;
    }
    getpeername(s, (struct sockaddr *)&name, &length);
    getsockopt(s, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    printf("%s %d\n", name.sun_path, peer.pid > 0);
    if (say(s))
        return 1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || write(pair[0], "pair", 4) != 4)
        return 1;
    close(s);
    return 0;
}
