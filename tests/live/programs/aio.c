// Asynchronous I/O: contexts at their places, events that nobody has read yet, requests after the restore.
// live-cases: empty unread wrapped several inherited under_way eventfd
#include <linux/aio_abi.h>
#include <sys/eventfd.h>

#include "target.h"

static aio_context_t setup(unsigned count) {
  aio_context_t context = 0;
  if (syscall(SYS_io_setup, count, &context) != 0) skip("no asynchronous I/O here");
  return context;
}
static int file;
static char block[4096] __attribute__((aligned(4096)));
static struct iocb request_of(int opcode, uint64_t data) {
  struct iocb request = {.aio_lio_opcode = (uint16_t)opcode, .aio_fildes = (uint32_t)file, .aio_data = data};
  request.aio_buf = (uint64_t)(uintptr_t)block;
  request.aio_nbytes = 100 + data % 100;
  return request;
}
static void submit(aio_context_t context, struct iocb* request) {
  SAME(OK(syscall(SYS_io_submit, context, 1, &request)), 1);
}
static void open_file(int flags) {
  file = OK(open(live_path("data"), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600));
  fill(block, sizeof block, 1);
  SAME(OK(write(file, block, sizeof block)), sizeof block);
}
static void read_one(aio_context_t context, uint64_t data) {
  struct iocb request = request_of(IOCB_CMD_PREAD, data);
  submit(context, &request);
}
static void get_one(aio_context_t context, uint64_t data) {
  struct io_event event;
  SAME(OK(syscall(SYS_io_getevents, context, 1, 1, &event, NULL)), 1);
  SAME(event.data, data);
  SAME(event.res, 100 + data % 100);
}
static void check_none(aio_context_t context) {
  struct io_event event;
  SAME(OK(syscall(SYS_io_getevents, context, 0, 1, &event, NULL)), 0);
}
static void until_go(void) {
  ready();
  wait_go();
}

static void empty(void) {
  open_file(0);
  aio_context_t context = setup(10);
  until_go();
  check_none(context);
  memset(block, 0, sizeof block);
  read_one(context, 7);
  get_one(context, 7);
  check_filled(block, 107, 1, "what was read");
  SAME(OK(syscall(SYS_io_destroy, context)), 0);
  SAME(syscall(SYS_io_destroy, context), -1);
}
static void unread(void) {
  open_file(0);
  aio_context_t context = setup(10);
  for (uint64_t i = 0; i < 8; i++) read_one(context, i);
  for (uint64_t i = 0; i < 3; i++) get_one(context, i);
  until_go();
  read_one(context, 8);
  for (uint64_t i = 3; i < 9; i++) get_one(context, i);
  check_none(context);
}
// The ring has gone round several times, and its end is before its beginning.
static void wrapped(void) {
  open_file(0);
  aio_context_t context = setup(1);
  unsigned slots = ((unsigned*)context)[1];
  uint64_t put = 0, got = 0;
  for (; put < slots * 2 + slots - 5; put++) {
    read_one(context, put);
    get_one(context, got++);
  }
  for (int i = 0; i < 20; i++) read_one(context, put++);
  until_go();
  SAME(((unsigned*)context)[1], slots);
  while (got < put) get_one(context, got++);
  for (unsigned i = 0; i < slots * 2; i++) {
    read_one(context, put++);
    get_one(context, got++);
  }
  check_none(context);
}
static void several(void) {
  static const unsigned counts[4] = {1, 100, 1000, 5000};
  aio_context_t contexts[4];
  open_file(0);
  for (int i = 0; i < 4; i++) contexts[i] = setup(counts[i]);
  SAME(OK(syscall(SYS_io_destroy, contexts[1])), 0);
  for (uint64_t i = 0; i < 4; i++) {
    if (i != 1) read_one(contexts[i], i);
  }
  until_go();
  for (uint64_t i = 0; i < 4; i++) {
    if (i != 1) get_one(contexts[i], i);
  }
  read_one(contexts[3], 50);
  check_none(contexts[0]);
  get_one(contexts[3], 50);
  SAME(syscall(SYS_io_destroy, contexts[1]), -1);
}
static aio_context_t of_parent;
static void child_of(void* unused) {
  (void)unused;
  aio_context_t own = setup(3);
  read_one(own, 70);
  mark("child");
  wait_go();
  struct io_event event;
  SAME(syscall(SYS_io_getevents, of_parent, 0, 1, &event, NULL), -1);
  SAME(((unsigned*)of_parent)[4], 0xa10a10a1);
  get_one(own, 70);
}
static void inherited(void) {
  open_file(0);
  of_parent = setup(20);
  read_one(of_parent, 3);
  pid_t pid = child(child_of, NULL);
  await_mark("child");
  until_go();
  get_one(of_parent, 3);
  join_child(pid);
}
// Requests to the disk may still be under way when the process is stopped.
static void under_way(void) {
  enum { kMany = 16 };
  open_file(O_DIRECT);
  static char blocks[kMany][4096] __attribute__((aligned(4096)));
  struct iocb requests[kMany];
  aio_context_t context = setup(kMany);
  for (uint64_t i = 0; i < kMany; i++) {
    fill(blocks[i], sizeof blocks[i], (unsigned)i);
    requests[i] = request_of(IOCB_CMD_PWRITE, i);
    requests[i].aio_buf = (uint64_t)(uintptr_t)blocks[i];
    requests[i].aio_nbytes = sizeof blocks[i];
    requests[i].aio_offset = (int64_t)(i * sizeof blocks[i]);
  }
  ready();
  for (int i = 0; i < kMany; i++) submit(context, &requests[i]);
  wait_go();
  struct io_event events[kMany];
  SAME(OK(syscall(SYS_io_getevents, context, kMany, kMany, events, NULL)), kMany);
  for (uint64_t i = 0; i < kMany; i++) {
    SAME(events[i].res, sizeof blocks[i]);
    SAME(OK(pread(file, block, sizeof block, (off_t)(i * sizeof block))), sizeof block);
    check_filled(block, sizeof block, (unsigned)i, "block");
  }
}
static void eventfd_told(void) {
  open_file(0);
  aio_context_t context = setup(4);
  int told = OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  struct iocb request = request_of(IOCB_CMD_PREAD, 5);
  request.aio_flags = IOCB_FLAG_RESFD;
  request.aio_resfd = (uint32_t)told;
  submit(context, &request);
  until_go();
  submit(context, &request);
  uint64_t count = 0;
  SAME(OK(read(told, &count, 8)), 8);
  SAME(count, 2);
  get_one(context, 5);
  get_one(context, 5);
}

static const struct live_case cases[] = {{"empty", empty},         {"unread", unread},       {"wrapped", wrapped},
                                         {"several", several},     {"inherited", inherited}, {"under_way", under_way},
                                         {"eventfd", eventfd_told}};
RUN_CASES(cases)
