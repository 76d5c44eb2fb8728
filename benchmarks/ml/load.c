/* Requests over HTTP/1.1 for models: load PORT FILE NAME=VALUE ...

   FILE holds requests, each as a 32-bit length, a byte for its kind (0 good, 1 bad) and its bytes.
   Twelve "@" in a request stand for its number, which then has to be in an answer with status 200.

     connections=64   clients, or with a rate the connections to begin with
     rate=0           0: closed loop, each client asks when it has its answer. Otherwise requests a
                      second, arriving as a Poisson process whatever was answered; a latency is
                      counted from the arrival, also where a request waited for a connection
     warm=0.5 seconds=2   the time before measuring, and of measuring
     total=0          end after so many requests, not after a time
     bad=0            the share of requests of kind 1
     leave=0 leave_from=0 leave_to=0   the share of requests whose client closes the connection,
                      and after how many milliseconds, evenly drawn
     burst=0          every client asks once, at once; a half leaves after so many milliseconds (a
                      negative number: nobody leaves)
     most=512         connections with a rate; requests beyond wait for one
     seed=1

   One thread, epoll, loopback only. Prints one JSON object. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 8192, ANSWER = 65536, REQUEST = 65536, DIGITS = 12, KINDS = 2, STATUSES = 600 };
enum state { CLOSED, OPEN, ASKING };

struct request {
    char *bytes;
    uint32_t length;
    long mark; /* where its number belongs, or -1 */
};

struct list {
    struct request *items;
    long count;
};

struct connection {
    int socket, kind, leaves;
    enum state state;
    uint32_t length, sent, received;
    double due, until; /* when its request arrived, when its client leaves */
    char number[DIGITS + 1];
    char request[REQUEST], answer[ANSWER + 1];
};

struct times {
    float *values;
    long count, room;
};

static struct connection *all[MOST], *idle[MOST];
static int opened, poller, idles, port, ending;
static struct list kinds[KINDS];
static struct times answered, refused, others;
static long counts[KINDS][STATUSES], wrong, left, broken, offered, asked, completed;
static double measured_from, measured_to;
static double *waiting; /* arrivals without a connection, oldest first: a ring */
static long ring = 1 << 20, first, waits;

static struct {
    double connections, rate, warm, seconds, total, bad, leave, leave_from, leave_to, burst, seed, most;
} set = {.most = 512, .connections = 64, .warm = 0.5, .seconds = 2, .seed = 1};

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

/* A number in (0, 1], by splitmix64. */
static double draw(void)
{
    static uint64_t state;
    if (!state)
        state = (uint64_t)set.seed * 0x9E3779B97F4A7C15u + 1;
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return ((double)((z ^ (z >> 31)) >> 11) + 1) / 9007199254740992.0;
}

static void keep(struct times *times, double seconds)
{
    if (times->count == times->room) {
        times->room = times->room ? times->room * 2 : 4096;
        times->values = realloc(times->values, times->room * sizeof(float));
        if (!times->values)
            fail("realloc");
    }
    times->values[times->count++] = (float)seconds;
}

static void read_requests(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint32_t length;
    if (!file)
        fail(path);
    while (fread(&length, sizeof length, 1, file) == 1) {
        int kind = fgetc(file);
        struct request one = {.bytes = calloc(length + 1, 1), .length = length, .mark = -1};
        if (kind < 0 || kind >= KINDS || length >= REQUEST || !one.bytes)
            fail("a request of a kind or length that is not known");
        if (fread(one.bytes, 1, length, file) != length)
            fail("a request that ends early");
        char *mark = memmem(one.bytes, length, "@@@@@@@@@@@@", DIGITS);
        if (mark)
            one.mark = mark - one.bytes;
        struct list *list = &kinds[kind];
        list->items = realloc(list->items, (list->count + 1) * sizeof one);
        list->items[list->count++] = one;
    }
    fclose(file);
    if (!kinds[0].count)
        fail("no requests");
}

static void open_connection(struct connection *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int yes = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->socket < 0)
        fail("socket");
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c->socket, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        fail("connect");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event) < 0)
        fail("epoll_ctl");
}

static void close_connection(struct connection *c)
{
    if (c->state != CLOSED) {
        close(c->socket);
        c->state = CLOSED;
    }
}

static struct connection *more(void)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        fail("calloc");
    all[opened++] = c;
    return c;
}

static void push(struct connection *c)
{
    while (c->sent < c->length) {
        ssize_t n = send(c->socket, c->request + c->sent, c->length - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return; /* what is wrong, if anything is, shows when the answer is read */
        c->sent += n;
    }
}

/* Ask, on a connection that waits for no answer, what arrived when it was due. */
static void ask(struct connection *c, double due)
{
    int kind = set.bad > 0 && draw() <= set.bad;
    struct list *list = &kinds[kind];
    struct request *one = &list->items[(long)(draw() * list->count) % list->count];
    memcpy(c->request, one->bytes, one->length);
    c->number[0] = 0;
    asked++;
    if (one->mark >= 0) {
        char digits[32];
        snprintf(digits, sizeof digits, "%0*ld", DIGITS, 100000000000 + asked);
        memcpy(c->number, digits, DIGITS); /* a zero follows */
        memcpy(c->request + one->mark, c->number, DIGITS);
    }
    c->kind = kind;
    c->due = due;
    c->length = one->length;
    c->sent = c->received = 0;
    c->leaves = set.leave > 0 && draw() <= set.leave;
    c->until = due + (set.leave_from + draw() * (set.leave_to - set.leave_from)) / 1000;
    if (due >= measured_from && due < measured_to)
        offered++;
    if (c->state == CLOSED) {
        open_connection(c);
        c->state = ASKING;
    } else {
        c->state = ASKING;
        push(c);
    }
}

static int is_over(void)
{
    return ending || (set.total > 0 && asked >= set.total);
}

/* The connection has no request any more: what comes next on it. */
static void next(struct connection *c)
{
    if (set.burst)
        return;
    if (set.rate > 0) {
        if (waits) {
            double due = waiting[first];
            first = (first + 1) % ring;
            waits--;
            ask(c, due);
        } else
            idle[idles++] = c;
    } else if (!is_over())
        ask(c, now());
}

static const char *field(const char *head, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length)) {
            const char *value = line + 2 + length;
            while (*value == ' ')
                value++;
            return value;
        }
    return NULL;
}

static void note(struct connection *c, int status)
{
    double at = now(), taken = at - c->due;
    completed++;
    if (status == 200 && c->number[0] && !strstr(strstr(c->answer, "\r\n\r\n"), c->number))
        wrong++;
    if (at >= measured_from && at < measured_to)
        counts[c->kind][status]++;
    if (c->due >= measured_from && c->due < measured_to)
        keep(status == 200 ? &answered : status == 503 ? &refused : &others, taken);
}

/* Whether the answer is complete; its status, and whether the server keeps the connection. */
static int is_complete(struct connection *c, int closed, int *status, int *kept)
{
    char *end, *head = c->answer;
    const char *value;
    head[c->received] = 0;
    if (!(end = strstr(head, "\r\n\r\n")))
        return 0;
    *status = atoi(head + 9);
    if (*status < 100 || *status >= STATUSES)
        fail("an answer without a status");
    size_t got = c->received - (end + 4 - head);
    end[2] = 0; /* so that fields are looked for in the head alone */
    value = field(head, "Connection:");
    *kept = !closed && !(value && !strncasecmp(value, "close", 5));
    int complete = closed;
    if ((value = field(head, "Content-Length:")))
        complete = got >= strtoul(value, NULL, 10);
    else if (field(head, "Transfer-Encoding:"))
        complete = got >= 5 && !memcmp(head + c->received - 5, "0\r\n\r\n", 5);
    end[2] = '\r';
    return complete;
}

static void read_answer(struct connection *c)
{
    int status, kept, closed = 0;
    for (;;) {
        ssize_t n = recv(c->socket, c->answer + c->received, ANSWER - c->received, 0);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) {
            closed = 1;
            break;
        }
        c->received += n;
        if (c->received == ANSWER)
            fail("an answer that is too long");
    }
    if (c->state != ASKING) { /* what comes unasked can belong to no request of this connection */
        wrong += c->received > 0;
        c->received = 0;
        if (closed)
            close_connection(c);
        return;
    }
    if (is_complete(c, closed, &status, &kept)) {
        note(c, status);
        c->state = OPEN;
        c->received = 0;
        if (!kept)
            close_connection(c);
        next(c);
    } else if (closed) {
        broken++;
        close_connection(c);
        next(c);
    }
}

static void wait_until(double until)
{
    struct epoll_event events[256];
    double seconds = until - now();
    struct timespec time = {0, 0};
    if (seconds > 0) {
        time.tv_sec = (time_t)seconds;
        time.tv_nsec = (long)((seconds - time.tv_sec) * 1e9);
    }
    int ready = epoll_pwait2(poller, events, 256, &time, NULL);
    if (ready < 0)
        fail("epoll_pwait2");
    for (int e = 0; e < ready; e++) {
        struct connection *c = events[e].data.ptr;
        if (c->state == CLOSED)
            continue;
        if (events[e].events & EPOLLOUT && c->state == ASKING)
            push(c);
        if (events[e].events & ~EPOLLOUT)
            read_answer(c);
    }
}

static void leave(double at)
{
    for (int i = 0; i < opened; i++) {
        struct connection *c = all[i];
        if (c->state == ASKING && c->leaves && at >= c->until) {
            left++;
            close_connection(c);
            next(c);
        }
    }
}

static int is_waiting(void)
{
    for (int i = 0; i < opened; i++)
        if (all[i]->state == ASKING)
            return 1;
    return waits > 0;
}

static void arrive(double due)
{
    if (!idles && opened < set.most)
        idle[idles++] = more();
    if (idles)
        ask(idle[--idles], due);
    else if (waits < ring)
        waiting[(first + waits++) % ring] = due;
    else
        fail("too many requests wait for a connection");
}

/* All ask at once; those who stay are counted, before the others leave and after. */
static void burst(void)
{
    double start = now(), used = cpu(), from = 0, until = start + set.burst / 1000;
    long before = 0;
    measured_from = start, measured_to = start + 1e6;
    for (int i = 0; i < opened; i++)
        ask(all[i], start);
    while (set.burst > 0 && (from = now()) < until && is_waiting())
        wait_until(until);
    for (int i = 0; i < opened && set.burst > 0; i++) {
        if (i % 2 && all[i]->state == ASKING) {
            left++;
            close_connection(all[i]);
        } else if (!(i % 2))
            before += all[i]->state != ASKING;
    }
    while (is_waiting() && now() < start + 60)
        wait_until(now() + 0.1);
    double seconds = now() - start;
    printf("{\"seconds\": %.6f, \"busy\": %.4f, \"until_leaving\": %.6f, \"stayers_before\": %ld, ",
           seconds, (cpu() - used) / seconds, set.burst > 0 ? from - start : 0, before);
}

static void run(void)
{
    double start = now(), due, used, started, at;
    measured_from = start + set.warm;
    measured_to = set.total > 0 ? start + 1e6 : measured_from + set.seconds;
    due = start;
    for (int i = 0; i < opened; i++) {
        if (set.rate > 0)
            idle[idles++] = all[i];
        else
            ask(all[i], now());
    }
    used = cpu();
    started = start;
    while ((at = now()) < measured_to && !(is_over() && !is_waiting())) {
        double until = at + 0.1 < measured_to ? at + 0.1 : measured_to;
        if (started == start && at >= measured_from)
            started = at, used = cpu();
        while (set.rate > 0 && due <= at && !is_over()) {
            arrive(due);
            due += -log(draw()) / set.rate;
        }
        if (set.leave > 0) {
            leave(at);
            until = at + 0.001;
        }
        wait_until(set.rate > 0 && due < until ? due : until);
    }
    double busy = (cpu() - used) / (now() - started), end = now();
    ending = 1;
    while (set.rate > 0 && is_waiting() && now() < end + 3) /* so that slow ones are counted */
        wait_until(now() + 0.1);
    printf("{\"seconds\": %.6f, \"busy\": %.4f, ", end - started, busy);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *times)
{
    static const double shares[] = {0.5, 0.9, 0.99, 1};
    if (times->count)
        qsort(times->values, times->count, sizeof(float), compare);
    printf("\"%s\": {\"count\": %ld", name, times->count);
    for (int i = 0; i < 4 && times->count; i++) {
        long place = (long)ceil(shares[i] * times->count) - 1;
        printf(", \"p%g\": %.6f", shares[i] * 100, times->values[place]);
    }
    printf("}, ");
}

static void print_statuses(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        const char *comma = "";
        printf("\"%s\": {", kind ? "bad" : "good");
        for (int status = 0; status < STATUSES; status++)
            if (counts[kind][status]) {
                printf("%s\"%d\": %ld", comma, status, counts[kind][status]);
                comma = ", ";
            }
        printf("}, ");
    }
}

static void read_settings(int argc, char **argv)
{
    struct {
        const char *name;
        double *value;
    } known[] = {
        {"connections", &set.connections}, {"rate", &set.rate},
        {"warm", &set.warm}, {"seconds", &set.seconds},
        {"total", &set.total}, {"bad", &set.bad},
        {"leave", &set.leave}, {"leave_from", &set.leave_from},
        {"leave_to", &set.leave_to}, {"burst", &set.burst},
        {"seed", &set.seed}, {"most", &set.most},
    };
    for (int i = 3; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        size_t k = 0, count = sizeof known / sizeof *known;
        while (value && k < count && strncmp(known[k].name, argv[i], value - argv[i]))
            k++;
        if (!value || k == count)
            fail(argv[i]);
        *known[k].value = atof(value + 1);
    }
    if (set.connections < 1 || set.connections > MOST || set.most > MOST)
        fail("too few or too many connections");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: load PORT FILE NAME=VALUE ...");
    port = atoi(argv[1]);
    poller = epoll_create1(0);
    read_settings(argc, argv);
    read_requests(argv[2]);
    if (set.bad > 0 && !kinds[1].count)
        fail("no bad requests");
    if (!(waiting = calloc(ring, sizeof *waiting)))
        fail("calloc");
    for (int i = 0; i < set.connections; i++)
        more();
    errno = 0;
    if (set.burst)
        burst();
    else
        run();
    long unanswered = waits;
    for (int i = 0; i < opened; i++)
        unanswered += all[i]->state == ASKING;
    print_times("answered", &answered);
    print_times("refused", &refused);
    print_times("others", &others);
    print_statuses();
    printf("\"offered\": %ld, \"asked\": %ld, \"completed\": %ld, \"unanswered\": %ld, "
           "\"left\": %ld, \"closed\": %ld, \"wrong\": %ld}\n",
           offered, asked, completed, unanswered, left, broken, wrong);
    return 0;
}
