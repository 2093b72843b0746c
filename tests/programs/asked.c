/* Does what it is told, a word a line, and says how it went: for what happens around a program while it runs. */
#include "results.h"

int main(int count, char **arguments) {
    char word[64];
    int port = count > 1 ? atoi(arguments[1]) : 0, s, status;
    say("ready");
    while (fgets(word, sizeof word, stdin)) {
        word[strcspn(word, "\n")] = 0;
        if (!strcmp(word, "connect")) {
            s = socket(AF_INET, SOCK_STREAM, 0);
            if (s < 0) result("socket", s);
            else result("connect", connect_to(s, port));
            if (s >= 0) close(s);
        } else if (!strcmp(word, "udp")) {
            s = socket(AF_INET, SOCK_DGRAM, 0);
            if (s < 0) result("socket", s);
            else result("connect", connect_to(s, port));
        } else if (!strcmp(word, "unix")) {
            struct sockaddr_un here = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
            result("unix", connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&here, sizeof here));
        } else if (!strcmp(word, "file")) {
            descriptor("file", open("/dev/null", O_RDONLY));
        } else if (!strcmp(word, "fork")) {
            if (!fork()) {
                s = socket(AF_INET, SOCK_STREAM, 0);
                result("child's connect", s < 0 ? s : connect_to(s, port));
                _exit(0);
            }
            wait(&status);
        } else if (!strcmp(word, "accept")) {
            s = listener(5);
            say("listening");
            descriptor("accept", accept(s, NULL, NULL));
        } else if (!strcmp(word, "abort")) {
            abort();
        } else {
            return atoi(word);
        }
    }
    return 0;
}
