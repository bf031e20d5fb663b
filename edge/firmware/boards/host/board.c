/* The firmware as a process of a POSIX host. Prints "listening PORT", serves one connection on 127.0.0.1 and ends with
   it. A reset is an exec of the same file with the connection kept open; the watchdog is an interval timer. What the
   application stores goes into the file that NRV_STORE names, else into one beside the firmware. */
#define _DEFAULT_SOURCE

#include "board.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "messages.h"

#define CREDIT 8192u
#define IDLE_MS 5
#define ACCEPT_MS 30000
#define WATCHDOG_US 100000
#define WATCHDOG_SPANS 10
#define STACK_SIZE (256u * 1024u) /* the C library wants most of it; what counts is the high-water mark */
#define STACK_PAINT 0xC5u

static int connection = -1;
static uint8_t reset_cause;
static uint32_t boots = 1;
static volatile sig_atomic_t spans_left = WATCHDOG_SPANS;
static struct timespec started;
static uint8_t stack[STACK_SIZE] __attribute__((aligned(64)));

/* Arguments of the next life, ready beforehand: a signal handler may exec but not format. */
static char arg_connection[16], arg_cause[2], arg_boots[16];
static char *next_life[] = {NULL, arg_connection, arg_cause, arg_boots, NULL};

static void on_alarm(int number)
{
    (void)number;
    if (--spans_left <= 0) {
        nrv_board_restart(NRV_RESET_WATCHDOG);
    }
}

static char store_file[4096], new_store_file[4096 + 8];

static void name_store(const char *firmware)
{
    const char *named = getenv("NRV_STORE");
    (void)snprintf(store_file, sizeof store_file, "%s%s", named ? named : firmware, named ? "" : ".store");
    (void)snprintf(new_store_file, sizeof new_store_file, "%s.new", store_file);
}

static int listen_and_accept(void)
{
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (server < 0 || bind(server, (struct sockaddr *)&address, size) != 0 || listen(server, 1) != 0 ||
        getsockname(server, (struct sockaddr *)&address, &size) != 0) {
        perror("host board");
        exit(1);
    }
    printf("listening %u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    struct pollfd wait = {.fd = server, .events = POLLIN, .revents = 0};
    int accepted = poll(&wait, 1, ACCEPT_MS) == 1 ? accept(server, NULL, NULL) : -1;
    if (accepted < 0) {
        fputs("host board: nobody connected\n", stderr);
        exit(1);
    }
    close(server);
    int on = 1;
    (void)setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return accepted;
}

static void *run(void *unused)
{
    (void)unused;
    nrv_app_run();
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        connection = atoi(argv[1]);
        reset_cause = (uint8_t)atoi(argv[2]);
        boots = (uint32_t)strtoul(argv[3], NULL, 10);
    } else {
        connection = listen_and_accept();
    }
    next_life[0] = argv[0];
    name_store(argv[0]);
    (void)snprintf(arg_connection, sizeof arg_connection, "%d", connection);
    (void)snprintf(arg_boots, sizeof arg_boots, "%u", (unsigned)(boots + 1u));
    clock_gettime(CLOCK_MONOTONIC, &started);

    signal(SIGPIPE, SIG_IGN);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, WATCHDOG_US}, {0, WATCHDOG_US}};
    setitimer(ITIMER_REAL, &timer, NULL);

    /* The application runs on a stack of its own, painted; this thread takes the timer's signals. */
    memset(stack, STACK_PAINT, sizeof stack);
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, sizeof stack);
    if (pthread_create(&thread, &attributes, run, NULL) != 0) {
        perror("host board");
        return 1;
    }
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL); /* also after an exec out of the handler, which inherits its mask */
    pthread_join(thread, NULL);
    return 0;
}

uint16_t nrv_board_credit(void)
{
    return CREDIT;
}

size_t nrv_board_read(uint8_t *to, size_t room)
{
    ssize_t n = recv(connection, to, room, MSG_DONTWAIT);
    if (n == 0) {
        exit(0); /* the host hung up */
    }
    return n > 0 ? (size_t)n : 0u;
}

uint32_t nrv_board_overruns(void)
{
    return 0;
}

void nrv_board_write(const uint8_t *from, size_t size)
{
    while (size > 0) {
        ssize_t n = write(connection, from, size);
        if (n <= 0) {
            exit(0);
        }
        from += n;
        size -= (size_t)n;
    }
}

void nrv_board_idle(void)
{
    struct pollfd wait = {.fd = connection, .events = POLLIN, .revents = 0};
    (void)poll(&wait, 1, IDLE_MS);
}

void nrv_board_kick(void)
{
    spans_left = WATCHDOG_SPANS;
}

uint64_t nrv_board_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)(now.tv_sec - started.tv_sec) * 1000000000u + (uint64_t)now.tv_nsec - (uint64_t)started.tv_nsec;
}

uint32_t nrv_board_tick_hz(void)
{
    return 1000000000u;
}

void nrv_board_restart(uint8_t cause)
{
    arg_cause[0] = (char)('0' + cause);
    execv(next_life[0], next_life);
    _exit(1);
}

uint8_t nrv_board_reset_cause(void)
{
    return reset_cause;
}

uint32_t nrv_board_boots(void)
{
    return boots;
}

uint32_t nrv_board_stack_size(void)
{
    return STACK_SIZE;
}

uint32_t nrv_board_stack_used(void)
{
    uint32_t free_bytes = 0;
    while (free_bytes < STACK_SIZE && stack[free_bytes] == STACK_PAINT) {
        free_bytes++;
    }
    return STACK_SIZE - free_bytes;
}

int nrv_board_store(const uint8_t *from, size_t size)
{
    FILE *file = fopen(new_store_file, "wb");
    if (!file) {
        return 0;
    }
    const int written = size == 0 || fwrite(from, size, 1, file) == 1;
    return fclose(file) == 0 && written && rename(new_store_file, store_file) == 0;
}

size_t nrv_board_load(uint8_t *to, size_t room)
{
    FILE *file = fopen(store_file, "rb");
    if (!file) {
        return 0;
    }
    const size_t size = fread(to, 1, room, file);
    const int whole = fgetc(file) == EOF;
    (void)fclose(file);
    return whole ? size : 0u;
}
