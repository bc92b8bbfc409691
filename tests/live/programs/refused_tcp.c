// live-modes: plain refuse refuse-user
// TCP sockets that cannot be saved: the checkpoint fails before anything is touched, and its error says what it is.
// live-cases: peer_outside client_outside bytes_not_accepted urgent
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "target.h"

static void expect(int fd, const char* word) {
  char text[200];
  snprintf(text, sizeof text, "%d\n%d\n%s\n", getpid(), fd, word);
  live_publish("expect", text);
}
static void until_go(void) {
  ready();
  wait_go();
}
// Runs `body` in a process that is no descendant of this one, and waits until it has said so.
static void outside(void (*body)(int), int fd) {
  pid_t pid = OK(fork());
  if (pid == 0) {
    pid_t parent = getpid();
    if (OK(fork()) != 0) _exit(0);
    while (getppid() == parent) pause_ms(1);
    body(fd);
    _exit(0);
  }
  join_child(pid);
  await_mark("outside");
}
static struct sockaddr_in address = {.sin_family = AF_INET};
static int listening(void) {
  int server = OK(socket(AF_INET, SOCK_STREAM, 0));
  socklen_t length = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  OK(bind(server, (struct sockaddr*)&address, sizeof address));
  OK(listen(server, 5));
  OK(getsockname(server, (struct sockaddr*)&address, &length));
  return server;
}
static int connected(void) {
  int fd = OK(socket(AF_INET, SOCK_STREAM, 0));
  OK(connect(fd, (struct sockaddr*)&address, sizeof address));
  return fd;
}
static void get(int fd, const char* text) {
  char bytes[20] = {0};
  SAME(OK(recv(fd, bytes, strlen(text), MSG_WAITALL)), strlen(text));
  CHECK(!strcmp(bytes, text), "'%s'", bytes);
}

static void connects(int server) {
  close(server);
  int fd = connected();
  mark("outside");
  wait_go();
  SAME(OK(send(fd, "hello", 5, 0)), 5);
}
static void peer_outside(void) {
  int server = listening();
  outside(connects, server);
  int accepted = OK(accept(server, NULL, NULL));
  expect(accepted, "is connected to 127.0.0.1:");
  until_go();
  get(accepted, "hello");
}
static void client_outside(void) {
  int server = listening();
  outside(connects, server);
  expect(server, "from outside the unit wait to be accepted");
  until_go();
  int accepted = OK(accept(server, NULL, NULL));
  get(accepted, "hello");
}
static void bytes_not_accepted(void) {
  int server = listening(), client = connected();
  SAME(OK(send(client, "hello", 5, 0)), 5);
  expect(client, "not accepted yet");
  until_go();
  int accepted = OK(accept(server, NULL, NULL));
  get(accepted, "hello");
}
static void urgent(void) {
  int server = listening(), client = connected(), accepted = OK(accept(server, NULL, NULL));
  SAME(OK(send(client, "!", 1, MSG_OOB)), 1);
  char byte;
  while (recv(accepted, &byte, 1, MSG_OOB | MSG_PEEK) != 1) pause_ms(1);
  expect(accepted, "urgent data");
  until_go();
  SAME(OK(recv(accepted, &byte, 1, MSG_OOB)), 1);
  SAME(byte, '!');
}

static const struct live_case cases[] = {{"peer_outside", peer_outside},
                                         {"client_outside", client_outside},
                                         {"bytes_not_accepted", bytes_not_accepted},
                                         {"urgent", urgent}};
RUN_CASES(cases)
