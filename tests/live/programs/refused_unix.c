// live-modes: plain refuse refuse-user
// UNIX sockets that cannot be saved: the checkpoint fails before anything is touched, and its error says what it is.
// live-cases: peer_outside client_outside bytes_not_accepted client_gone urgent
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

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
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listening(void) {
  int server = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  snprintf(address.sun_path, sizeof address.sun_path, "%s", live_path("socket"));
  OK(bind(server, (struct sockaddr*)&address, sizeof address));
  OK(listen(server, 5));
  return server;
}
static int connected(void) {
  int fd = OK(socket(AF_UNIX, SOCK_STREAM, 0));
  OK(connect(fd, (struct sockaddr*)&address, sizeof address));
  return fd;
}
static void get(int fd, const char* text) {
  char bytes[20] = {0};
  SAME(OK(recv(fd, bytes, strlen(text), MSG_WAITALL)), strlen(text));
  CHECK(!strcmp(bytes, text), "'%s'", bytes);
}

static void answers(int fd) {
  mark("outside");
  wait_go();
  get(fd, "question");
  SAME(OK(send(fd, "answer", 6, 0)), 6);
}
static void peer_outside(void) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  outside(answers, pair[1]);
  close(pair[1]);
  expect(pair[0], "is connected to process ");
  until_go();
  SAME(OK(send(pair[0], "question", 8, 0)), 8);
  get(pair[0], "answer");
}

static void connects(int server) {
  close(server);
  int fd = connected();
  mark("outside");
  wait_go();
  SAME(OK(send(fd, "hello", 5, 0)), 5);
}
static void client_outside(void) {
  int server = listening();
  outside(connects, server);
  expect(server, "outside the unit, waits to be accepted");
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
static void client_gone(void) {
  int server = listening();
  close(connected());
  expect(server, "its client has closed");
  until_go();
  char byte;
  int accepted = OK(accept(server, NULL, NULL));
  SAME(OK(read(accepted, &byte, 1)), 0);
}

static void urgent(void) {
  int pair[2];
  OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  if (send(pair[0], "!", 1, MSG_OOB) != 1) skip("no urgent data in UNIX sockets here");
  expect(pair[1], "urgent data");
  until_go();
  char byte;
  SAME(OK(recv(pair[1], &byte, 1, MSG_OOB)), 1);
  SAME(byte, '!');
}

static const struct live_case cases[] = {{"peer_outside", peer_outside},
                                         {"client_outside", client_outside},
                                         {"bytes_not_accepted", bytes_not_accepted},
                                         {"client_gone", client_gone},
                                         {"urgent", urgent}};
RUN_CASES(cases)
