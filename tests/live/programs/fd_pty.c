// Pseudo terminals: settings, sizes, what lies in the queues, packet mode, sessions with their foreground group.
// live-cases: pair settings size output input_raw input_lines input_part echo packets slave_closed never_opened
// live-cases: exclusive locked hung_up two_pairs two_slaves nonblocking stopped session own_terminal foreground
// live-cases: interrupt hang_up_later in_epoll blocked_reader
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "target.h"

static int master, slave;

static int open_slave(int flags) { return OK(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | flags)); }
static void make(void) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  OK(unlockpt(master));
  slave = open_slave(0);
}
static void make_raw(void) {
  make();
  struct termios raw;
  OK(tcgetattr(slave, &raw));
  cfmakeraw(&raw);
  OK(tcsetattr(slave, TCSANOW, &raw));
}
static void put(int fd, const char* text) { SAME(OK(write(fd, text, strlen(text))), strlen(text)); }
// Exactly this text comes, in however many reads.
static void get(int fd, const char* text) {
  char bytes[600] = {0};
  size_t have = 0;
  while (have < strlen(text)) {
    struct pollfd asked = {fd, POLLIN, 0};
    SAME(OK(poll(&asked, 1, 5000)), 1);
    have += (size_t)OK(read(fd, bytes + have, strlen(text) - have));
  }
  CHECK(!strcmp(bytes, text), "'%s', not '%s'", bytes, text);
}
static void check_empty(int fd) {
  struct pollfd asked = {fd, POLLIN, 0};
  CHECK(poll(&asked, 1, 20) == 0 || !(asked.revents & POLLIN), "not empty");
}
static int flags_of(int fd) { return OK(fcntl(fd, F_GETFL)) & (O_ACCMODE | O_NONBLOCK); }
static void until_go(void) {
  ready();
  wait_go();
}

static void pair(void) {
  make();
  until_go();
  CHECK(!strcmp(ptsname(master), ttyname(slave)), "they are %s and %s", ptsname(master), ttyname(slave));
  put(master, "line\n");
  get(slave, "line\n");
  get(master, "line\r\n");  // the echo
  put(slave, "out\n");
  get(master, "out\r\n");
  check_empty(master);
  check_empty(slave);
  SAME(fcntl(slave, F_GETFD), FD_CLOEXEC);
}
static void settings(void) {
  make();
  struct termios before, after;
  OK(tcgetattr(slave, &before));
  before.c_lflag &= ~(unsigned)(ECHO | ICANON);
  before.c_iflag |= IXOFF | INLCR;
  before.c_oflag &= ~(unsigned)OPOST;
  before.c_cc[VINTR] = 7;
  before.c_cc[VMIN] = 3;
  cfsetspeed(&before, B9600);
  OK(tcsetattr(slave, TCSANOW, &before));
  until_go();
  OK(tcgetattr(slave, &after));
  SAME(after.c_iflag, before.c_iflag);
  SAME(after.c_oflag, before.c_oflag);
  SAME(after.c_cflag, before.c_cflag);
  SAME(after.c_lflag, before.c_lflag);
  CHECK(!memcmp(after.c_cc, before.c_cc, NCCS), "control characters differ");
  SAME(cfgetospeed(&after), B9600);
}
static void size(void) {
  make();
  struct winsize before = {31, 99, 5, 6}, after;
  OK(ioctl(master, TIOCSWINSZ, &before));
  until_go();
  OK(ioctl(slave, TIOCGWINSZ, &after));
  CHECK(!memcmp(&before, &after, sizeof before), "%d x %d", after.ws_row, after.ws_col);
}
static void output(void) {
  make();
  put(slave, "one\ntwo\n");
  until_go();
  get(master, "one\r\ntwo\r\n");
  check_empty(master);
  put(slave, "three\n");
  get(master, "three\r\n");
}
static void input_raw(void) {
  make_raw();
  put(master, "\x03 raw \x04\n bytes \x11");
  until_go();
  get(slave, "\x03 raw \x04\n bytes \x11");
  check_empty(slave);
  check_empty(master);
}
static void input_lines(void) {
  make();
  put(master, "first\nsecond\n");
  get(master, "first\r\nsecond\r\n");
  until_go();
  char line[50];
  SAME(OK(read(slave, line, sizeof line)), 6);  // a line at a time
  CHECK(!memcmp(line, "first\n", 6), "another line");
  SAME(OK(read(slave, line, sizeof line)), 7);
  check_empty(slave);
  check_empty(master);
}
// A line that has been begun can still be changed.
static void input_part(void) {
  make();
  put(master, "whole\npart");
  get(master, "whole\r\npart");
  until_go();
  get(slave, "whole\n");
  check_empty(slave);
  put(master, "\177\177y\n");
  get(slave, "pay\n");
}
static void echo(void) {
  make();
  put(master, "typed");  // its echo is on its way to the master
  until_go();
  get(master, "typed");
  check_empty(slave);
  put(master, "\n");
  get(slave, "typed\n");
}
static void packets(void) {
  make_raw();
  OK(ioctl(master, TIOCPKT, &(int){1}));
  put(slave, "text");
  until_go();
  char bytes[10] = {0};
  struct pollfd asked = {master, POLLIN, 0};
  SAME(OK(poll(&asked, 1, 5000)), 1);
  SAME(OK(read(master, bytes, sizeof bytes)), 5);
  CHECK(!memcmp(bytes, "\0text", 5), "%d '%s'", bytes[0], bytes + 1);
  OK(tcflush(slave, TCIFLUSH));
  SAME(OK(read(master, bytes, sizeof bytes)), 1);
  SAME(bytes[0], TIOCPKT_FLUSHREAD);
}
static void slave_closed(void) {
  make();
  put(slave, "last\n");
  close(slave);
  until_go();
  get(master, "last\r\n");
  char byte;
  CHECK(read(master, &byte, 1) == -1 && errno == EIO, "%s", strerror(errno));
  slave = open_slave(0);
  put(slave, "new\n");
  get(master, "new\r\n");
}
static void never_opened(void) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  until_go();
  struct pollfd asked = {master, POLLIN, 0};
  SAME(OK(poll(&asked, 1, 0)), 0);  // nobody has hung up
  OK(unlockpt(master));
  slave = open_slave(0);
  put(slave, "x");
  get(master, "x");
}
static void locked(void) {
  master = OK(posix_openpt(O_RDWR | O_NOCTTY));
  until_go();
  int lock = 0;
  OK(ioctl(master, TIOCGPTLCK, &lock));
  SAME(lock, 1);
  CHECK(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY) == -1 && errno == EIO, "%s", strerror(errno));
}
static void exclusive(void) {
  make();
  OK(ioctl(slave, TIOCEXCL));
  until_go();
  int on = 0;
  OK(ioctl(slave, TIOCGEXCL, &on));
  SAME(on, 1);
  put(slave, "x");
  get(master, "x");
}
static void hung_up(void) {
  make();
  put(master, "lost\n");
  close(master);
  until_go();
  char byte;
  SAME(OK(read(slave, &byte, 1)), 0);
  CHECK(write(slave, "x", 1) == -1 && errno == EIO, "%s", strerror(errno));
}
static void two_pairs(void) {
  make();
  int first[2] = {master, slave};
  make_raw();
  put(slave, "b");
  put(first[1], "a");
  until_go();
  get(master, "b");
  get(first[0], "a");
  CHECK(ptsname(master) && strcmp(ptsname(master), ttyname(first[1])) != 0, "one terminal for two");
}
static void two_slaves(void) {
  make_raw();
  int other = open_slave(O_NONBLOCK);
  until_go();
  SAME(flags_of(other), O_RDWR | O_NONBLOCK);
  SAME(flags_of(slave), O_RDWR);
  put(master, "ab");
  char byte;
  get(slave, "a");
  SAME(OK(read(other, &byte, 1)), 1);
  SAME(byte, 'b');
  close(slave);
  check_empty(master);
}
static void nonblocking(void) {
  make();
  OK(fcntl(master, F_SETFL, O_NONBLOCK));
  until_go();
  SAME(flags_of(master), O_RDWR | O_NONBLOCK);
  SAME(flags_of(slave), O_RDWR);
  char byte;
  CHECK(read(master, &byte, 1) == -1 && errno == EAGAIN, "%s", strerror(errno));
}
static void stopped(void) {
  make_raw();
  put(slave, "before");
  OK(tcflow(slave, TCOOFF));
  until_go();
  get(master, "before");
  struct pollfd asked = {slave, POLLOUT, 0};
  SAME(OK(poll(&asked, 1, 20)), 0);
  OK(tcflow(slave, TCOON));
  put(slave, "after");
  get(master, "after");
}

static unsigned tty_of(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  char* text = slurp(path, NULL);
  unsigned tty = 0;
  CHECK(sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %u", &tty) == 1, "%s", text);
  free(text);
  return tty;
}
static void has_terminal(void* unused) {
  (void)unused;
  mark("grandchild");
  wait_go();
  CHECK(tty_of(getpid()) != 0, "no terminal");
  int fd = OK(open("/dev/tty", O_RDWR));
  put(fd, "grandchild\n");
  mark("written");
}
static void leads(void* unused) {
  (void)unused;
  close(master);
  OK(setsid());
  OK(ioctl(slave, TIOCSCTTY, 0));
  close(slave);  // the session alone keeps it
  pid_t pid = child(has_terminal, NULL);
  await_mark("grandchild");
  mark("leader");
  await_mark("asked");
  join_child(pid);
  SAME(tcgetsid(OK(open("/dev/tty", O_RDWR))), getpid());
  SAME(tty_of(getpid()) >> 8 & 0xff, 136);
}
static void session(void) {
  make_raw();
  pid_t pid = child(leads, NULL);
  close(slave);
  await_mark("leader");
  until_go();
  SAME(tcgetsid(master), pid);
  mark("asked");
  await_mark("written");
  get(master, "grandchild\n");
  join_child(pid);
  char byte;
  CHECK(read(master, &byte, 1) == -1 && errno == EIO, "%s", strerror(errno));
}

static void opens_tty(void* unused) {
  (void)unused;
  OK(setsid());
  OK(ioctl(slave, TIOCSCTTY, 0));
  int fd = OK(open("/dev/tty", O_RDWR | O_NONBLOCK));
  mark("leader");
  wait_go();
  SAME(flags_of(fd), O_RDWR | O_NONBLOCK);
  put(fd, "by /dev/tty");
}
static void own_terminal(void) {
  make_raw();
  pid_t pid = child(opens_tty, NULL);
  await_mark("leader");
  until_go();
  get(master, "by /dev/tty");
  join_child(pid);
}

static void in_group(void* unused) {
  (void)unused;
  OK(setpgid(0, 0));
  mark("group");
  while (1) pause();
}
// A shell with a job in the foreground, which gets what the keys send.
static void is_shell(void* unused) {
  (void)unused;
  close(master);
  OK(setsid());
  OK(ioctl(slave, TIOCSCTTY, 0));
  signal(SIGTTOU, SIG_IGN);
  pid_t job = child(in_group, NULL);
  await_mark("group");
  OK(tcsetpgrp(slave, job));
  mark("shell");
  wait_go();
  SAME(tcgetpgrp(slave), job);
  mark("checked");
  int status;
  SAME(OK(waitpid(job, &status, 0)), job);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT, "status 0x%x", status);
  OK(tcsetpgrp(slave, getpgrp()));
}
static void foreground(void) {
  make();
  pid_t pid = child(is_shell, NULL);
  await_mark("shell");
  until_go();
  await_mark("checked");
  put(master, "\x03");
  join_child(pid);
}
static void counts(int signal) { mark(signal == SIGINT ? "interrupted" : "hung_up"); }
static void is_interrupted(void* unused) {
  (void)unused;
  close(master);
  OK(setsid());
  OK(ioctl(slave, TIOCSCTTY, 0));
  signal(SIGINT, counts);
  signal(SIGHUP, counts);
  signal(SIGWINCH, counts);
  mark("leader");
  wait_go();
  await_mark("interrupted");
  await_mark("hung_up");
}
static void interrupt(void) {
  make();
  pid_t pid = child(is_interrupted, NULL);
  close(slave);
  await_mark("leader");
  until_go();
  CHECK(access(live_path("mark.interrupted"), F_OK) != 0, "a signal too early");
  CHECK(access(live_path("mark.hung_up"), F_OK) != 0, "a signal too early");
  put(master, "\x03");
  await_mark("interrupted");
  close(master);
  join_child(pid);
}
static void hang_up_later(void) {
  make();
  until_go();
  close(master);
  char byte;
  SAME(OK(read(slave, &byte, 1)), 0);
}
static void in_epoll(void) {
  make();
  int epoll = OK(epoll_create1(0));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, slave, &(struct epoll_event){EPOLLIN, {.u32 = 1}}));
  OK(epoll_ctl(epoll, EPOLL_CTL_ADD, master, &(struct epoll_event){EPOLLIN, {.u32 = 2}}));
  until_go();
  struct epoll_event event;
  SAME(OK(epoll_wait(epoll, &event, 1, 10)), 0);
  put(slave, "x");
  SAME(OK(epoll_wait(epoll, &event, 1, 1000)), 1);
  SAME(event.data.u32, 2);
}
static pid_t helper;
static void* reads(void* unused) {
  char line[20];
  __atomic_store_n(&helper, tid(), __ATOMIC_RELEASE);
  SAME(OK(read(slave, line, sizeof line)), 3);
  return unused;
}
static void blocked_reader(void) {
  make();
  pthread_t reader = thread(reads, NULL);
  while (!__atomic_load_n(&helper, __ATOMIC_ACQUIRE)) pause_ms(1);
  await_asleep(helper);
  until_go();
  put(master, "go\n");
  pthread_join(reader, NULL);
}

static const struct live_case cases[] = {{"pair", pair},
                                         {"settings", settings},
                                         {"size", size},
                                         {"output", output},
                                         {"input_raw", input_raw},
                                         {"input_lines", input_lines},
                                         {"input_part", input_part},
                                         {"echo", echo},
                                         {"packets", packets},
                                         {"slave_closed", slave_closed},
                                         {"never_opened", never_opened},
                                         {"exclusive", exclusive},
                                         {"locked", locked},
                                         {"hung_up", hung_up},
                                         {"two_pairs", two_pairs},
                                         {"two_slaves", two_slaves},
                                         {"nonblocking", nonblocking},
                                         {"stopped", stopped},
                                         {"session", session},
                                         {"own_terminal", own_terminal},
                                         {"foreground", foreground},
                                         {"interrupt", interrupt},
                                         {"hang_up_later", hang_up_later},
                                         {"in_epoll", in_epoll},
                                         {"blocked_reader", blocked_reader}};
RUN_CASES(cases)
