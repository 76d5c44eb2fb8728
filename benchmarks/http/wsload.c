/* Echo over WebSockets: wsload PORT PATH CONNECTIONS BYTES WARM_UP_SECONDS SECONDS

   Each connection sends a masked text frame, waits for its echo, compares it and sends the next.
   One thread, epoll, loopback only. Prints one JSON object; exits with 1 on any wrong answer.
   Frames are those of RFC 6455, section 5; a message has to be shorter than 126 bytes. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 4096, FRAME = 6 + 125, ANSWER = 2 + 125 };

static int sockets[MOST];
static size_t received[MOST];
static unsigned char answers[MOST][ANSWER];
static unsigned char frame[FRAME], expected[ANSWER];
static size_t frame_size, answer_size;

static void fail(const char *what)
{
    fprintf(stderr, "%s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void make_frames(size_t size)
{
    static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
    if (size < 1 || size > 125)
        fail("a message has 1 to 125 bytes");
    frame[0] = expected[0] = 0x81; /* the last frame of a text message */
    frame[1] = 0x80 | size;
    expected[1] = size;
    memcpy(frame + 2, mask, 4);
    for (size_t i = 0; i < size; i++) {
        expected[2 + i] = 'a' + i % 26;
        frame[6 + i] = expected[2 + i] ^ mask[i % 4];
    }
    frame_size = 6 + size;
    answer_size = 2 + size;
}

static int open_socket(int port, const char *path)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    char text[1024];
    size_t length = 0;
    int yes = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n",
                     path, port);
    if (n < 0 || (size_t)n >= sizeof text || write(s, text, n) != n)
        fail("handshake");
    while (length < 4 || memcmp(text + length - 4, "\r\n\r\n", 4)) {
        if (length >= sizeof text - 1 || read(s, text + length, 1) != 1)
            fail("handshake");
        length++;
    }
    text[length] = 0;
    if (!strstr(text, " 101 "))
        fail(text);
    return s;
}

static void send_frame(int s)
{
    if (send(s, frame, frame_size, MSG_NOSIGNAL) != (ssize_t)frame_size)
        fail("send");
}

/* Read what has come; whether the echo is complete. */
static int read_answer(int i)
{
    ssize_t n = recv(sockets[i], answers[i] + received[i], answer_size - received[i], 0);
    if (n <= 0) {
        if (n == 0)
            errno = 0;
        fail("the server closed a connection");
    }
    received[i] += n;
    if (received[i] < answer_size)
        return 0;
    if (memcmp(answers[i], expected, answer_size)) {
        errno = 0;
        fail("a wrong echo");
    }
    received[i] = 0;
    return 1;
}

static long echo(int epoll, double seconds)
{
    struct epoll_event events[256];
    long messages = 0;
    double end = now() + seconds;
    while (now() < end) {
        int ready = epoll_wait(epoll, events, 256, 1000);
        if (ready < 0)
            fail("epoll_wait");
        for (int e = 0; e < ready; e++) {
            int i = events[e].data.u32;
            if (read_answer(i)) {
                messages++;
                send_frame(sockets[i]);
            }
        }
    }
    return messages;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        errno = 0;
        fail("usage: wsload PORT PATH CONNECTIONS BYTES WARM_UP_SECONDS SECONDS");
    }
    int port = atoi(argv[1]), connections = atoi(argv[3]), epoll = epoll_create1(0);
    if (connections < 1 || connections > MOST)
        fail("too many connections");
    make_frames(atoi(argv[4]));
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        sockets[i] = open_socket(port, argv[2]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event) < 0)
            fail("epoll_ctl");
    }
    for (int i = 0; i < connections; i++)
        send_frame(sockets[i]);
    echo(epoll, atof(argv[5]));
    double started = now(), used = cpu();
    long messages = echo(epoll, atof(argv[6]));
    double seconds = now() - started;
    printf("{\"messages\": %ld, \"seconds\": %.6f, \"busy\": %.4f}\n", messages, seconds,
           (cpu() - used) / seconds);
    return 0;
}
