// System V shared memory, semaphores and message queues.
// live-cases: shared readonly partial several removed odd_size detached sparse locked code huge semaphores undo
// live-cases: semaphore_wait messages message_limits nobody_used
// Only where the semaphores themselves outlive the processes.
// live-without: capsule.undo user.undo user-pid.undo pid-running.undo
// live-lock: ipc-ids
// live-needs: huge test "$(cat /proc/sys/vm/nr_hugepages)" -ge 8
// As root only.
// live-without: user.locked user-pid.locked user.huge user-pid.huge
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "target.h"

// What this run makes is removed by the runner too: a restored program may have another namespace than the first.
static void note(const char* option, int id) {
  static char text[400];
  static size_t length;
  length += (size_t)snprintf(text + length, sizeof text - length, "ipcrm %s %d\n", option, id);
  unlink(live_path("cleanup"));
  live_publish("cleanup", text);
}
static int segment(key_t key, size_t bytes, int flags) {
  int id = OK(shmget(key, bytes, IPC_CREAT | IPC_EXCL | flags));
  note("-m", id);
  return id;
}
static void* attach(int id, const void* at, int flags) { return OK(shmat(id, at, flags)); }
static struct shmid_ds status_of(int id) {
  struct shmid_ds status;
  OK(shmctl(id, IPC_STAT, &status));
  return status;
}
static void remove_segment(int id) { OK(shmctl(id, IPC_RMID, NULL)); }
static key_t own_key(void) { return 0x5a000000 | getpid(); }
static void until_go(void) {
  ready();
  wait_go();
}

static unsigned char* common;
static void adds(void* unused) {
  (void)unused;
  unsigned char* again = attach((int)((uint32_t*)common)[1], NULL, 0);
  mark("child");
  await_mark("counted");
  check_filled(again + kPage, 2 * kPage, 7, "seen by the child");
  __atomic_fetch_add((uint32_t*)again, 5, __ATOMIC_SEQ_CST);
  OK(shmdt(again));
}
static void shared(void) {
  int id = segment(own_key(), 3 * kPage, 0640);
  common = attach(id, NULL, 0);
  fill(common + kPage, 2 * kPage, 7);
  ((uint32_t*)common)[0] = 100;
  ((uint32_t*)common)[1] = (uint32_t)id;
  pid_t pid = child(adds, NULL);
  await_mark("child");
  until_go();
  struct shmid_ds status = status_of(id);
  SAME(status.shm_nattch, 3);  // inherited by the child, and its own
  mark("counted");
  SAME(status.shm_perm.__key, own_key());
  SAME(status.shm_perm.mode & 0777, 0640);
  SAME(status.shm_segsz, 3 * kPage);
  SAME(shmget(own_key(), 0, 0), id);
  join_child(pid);
  SAME(*(uint32_t*)common, 105);
  SAME(status_of(id).shm_nattch, 1);
  SAME(status_of(id).shm_cpid, getpid());
  SAME(OK(shmdt(common)), 0);
  remove_segment(id);
}
static void readonly(void) {
  int id = segment(IPC_PRIVATE, kPage, 0600);
  char* writable = attach(id, NULL, 0);
  const char* fixed = attach(id, NULL, SHM_RDONLY);
  strcpy(writable, "seen");
  until_go();
  CHECK(!strcmp(fixed, "seen"), "%.10s", fixed);
  SAME(mprotect((void*)fixed, kPage, PROT_READ | PROT_WRITE), -1);
  strcpy(writable, "again");
  CHECK(!strcmp(fixed, "again"), "%.10s", fixed);
  SAME(shmdt(fixed), 0);
  SAME(shmdt(writable), 0);
  remove_segment(id);
}
// Parts unmapped, parts protected otherwise; one shmdt still takes all of it away.
static void partial(void) {
  enum { kPages = 8 };
  int id = segment(IPC_PRIVATE, kPages * kPage, 0600);
  unsigned char* start = attach(id, NULL, 0);
  fill(start, kPages * kPage, 3);
  OK(munmap(start + kPage, kPage));
  OK(munmap(start + 6 * kPage, kPage));
  OK(mprotect(start + 3 * kPage, kPage, PROT_READ));
  OK(mprotect(start + 4 * kPage, kPage, PROT_NONE));
  unsigned char* other = map_anon(kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  OK(mremap(other, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, start + kPage));
  fill(start + kPage, kPage, 4);
  long attached = (long)status_of(id).shm_nattch;
  until_go();
  SAME(status_of(id).shm_nattch, attached);
  check_filled(start + kPage, kPage, 4, "private page in a hole");
  OK(mprotect(start + 4 * kPage, kPage, PROT_READ));
  unsigned char* whole = attach(id, NULL, 0);
  check_filled(whole, kPages * kPage, 3, "whole segment");
  SAME(memcmp(start + 2 * kPage, whole + 2 * kPage, 4 * kPage), 0);
  SAME(memcmp(start + 7 * kPage, whole + 7 * kPage, kPage), 0);
  whole[7 * kPage] ^= 1;
  SAME(start[7 * kPage], whole[7 * kPage]);
  OK(shmdt(whole));
  OK(shmdt(start));
  SAME(status_of(id).shm_nattch, 0);
  remove_segment(id);
}
static void several(void) {
  int ids[3];
  unsigned char* at[6];
  for (int i = 0; i < 6; i++) {
    if (i < 3) ids[i] = segment(i == 0 ? IPC_PRIVATE : own_key() + (i << 20), (size_t)(i + 1) * kPage, 0600);
    at[i] = attach(ids[i % 3], NULL, 0);
    if (i < 3) fill(at[i], (size_t)(i + 1) * kPage, (unsigned)i);
  }
  until_go();
  for (int i = 0; i < 6; i++) check_filled(at[i], (size_t)(i % 3 + 1) * kPage, (unsigned)i % 3, "segment");
  for (int i = 0; i < 3; i++) {
    at[i][9] ^= 0xff;
    SAME(at[i][9], at[i + 3][9]);
    SAME(status_of(ids[i]).shm_nattch, 2);
    OK(shmdt(at[i]));
    OK(shmdt(at[i + 3]));
    remove_segment(ids[i]);
  }
}
// Marked for removal: it is there as long as somebody has it attached.
static void removed(void) {
  int id = segment(own_key(), 2 * kPage, 0600);
  unsigned char* at = attach(id, NULL, 0);
  fill(at, 2 * kPage, 5);
  remove_segment(id);
  until_go();
  SAME(status_of(id).shm_perm.mode & SHM_DEST, SHM_DEST);
  SAME(shmget(own_key(), 0, 0), -1);
  check_filled(at, 2 * kPage, 5, "removed segment");
  OK(shmdt(at));
  struct shmid_ds status;
  SAME(shmctl(id, IPC_STAT, &status), -1);
}
static void odd_size(void) {
  int id = segment(IPC_PRIVATE, 5 * kPage + 123, 0600);
  unsigned char* at = attach(id, NULL, 0);
  fill(at, 5 * kPage + 123, 8);
  until_go();
  SAME(status_of(id).shm_segsz, 5 * kPage + 123);
  check_filled(at, 5 * kPage + 123, 8, "segment");
  check_zero(at + 5 * kPage + 123, kPage - 123, "behind it");
  OK(shmdt(at));
  remove_segment(id);
}
static void detached(void) {
  int id = segment(own_key(), 2 * kPage, 0600);
  unsigned char* at = attach(id, NULL, 0);
  fill(at, 2 * kPage, 6);
  OK(shmdt(at));
  until_go();
  SAME(shmget(own_key(), 2 * kPage, 0), id);
  SAME(status_of(id).shm_nattch, 0);
  at = attach(id, NULL, 0);
  check_filled(at, 2 * kPage, 6, "segment that nobody had attached");
  OK(shmdt(at));
  remove_segment(id);
}
static void sparse(void) {
  enum { kBytes = 256 << 20 };
  int id = segment(IPC_PRIVATE, kBytes, 0600);
  unsigned char* at = attach(id, NULL, 0);
  for (size_t i = 0; i < kBytes; i += kBytes / 8) fill(at + i, kPage, (unsigned)i);
  until_go();
  for (size_t i = 0; i < kBytes; i += kBytes / 8) {
    check_filled(at + i, kPage, (unsigned)i, "page");
    check_zero(at + i + kPage, kPage, "page beside");
  }
  OK(shmdt(at));
  remove_segment(id);
}
static void locked(void) {
  int id = segment(IPC_PRIVATE, kPage, 0600);
  unsigned char* at = attach(id, NULL, 0);
  if (shmctl(id, SHM_LOCK, NULL) != 0) skip("memory cannot be locked here");
  until_go();
  SAME(status_of(id).shm_perm.mode & SHM_LOCKED, SHM_LOCKED);
  OK(shmdt(at));
  remove_segment(id);
}
static void code(void) {
  int id = segment(IPC_PRIVATE, kPage, 0700);
  unsigned char* at = attach(id, NULL, SHM_EXEC);
  static const unsigned char returns_42[] = {0xb8, 42, 0, 0, 0, 0xc3};
  memcpy(at, returns_42, sizeof returns_42);
  until_go();
  SAME(((int (*)(void))(void*)at)(), 42);
  OK(shmdt(at));
  remove_segment(id);
}
static void huge(void) {
  enum { kHuge = 2 << 20 };
  int id = shmget(IPC_PRIVATE, 2 * kHuge, IPC_CREAT | SHM_HUGETLB | 0600);
  if (id < 0) skip("no huge pages here");
  note("-m", id);
  unsigned char* at = attach(id, NULL, 0);
  fill(at, kHuge, 2);
  until_go();
  check_filled(at, kHuge, 2, "huge page");
  check_zero(at + kHuge, kPage, "second huge page");
  SAME(status_of(id).shm_segsz, 2 * kHuge);
  OK(shmdt(at));
  remove_segment(id);
}

union semaphore_argument {
  int value;
  struct semid_ds* status;
  unsigned short* values;
};
static int semaphore_set(key_t key, int count) {
  int id = OK(semget(key, count, IPC_CREAT | IPC_EXCL | 0600));
  note("-s", id);
  return id;
}
static void change(int id, int number, int by, int flags) {
  OK(semop(id, &(struct sembuf){(unsigned short)number, (short)by, (short)flags}, 1));
}
static int value(int id, int number) { return OK(semctl(id, number, GETVAL)); }

static int set;
static void raises_two(void* unused) {
  (void)unused;
  change(set, 2, 2, 0);
  mark("child");
  wait_go();
  SAME(semctl(set, 2, GETPID), getpid());
}
static void semaphores(void) {
  set = semaphore_set(own_key(), 5);
  OK(semctl(set, 0, SETVAL, (union semaphore_argument){.value = 32767}));
  change(set, 1, 3, 0);
  pid_t pid = child(raises_two, NULL);
  await_mark("child");
  until_go();
  SAME(semget(own_key(), 5, 0), set);
  SAME(value(set, 0), 32767);
  SAME(value(set, 1), 3);
  SAME(value(set, 2), 2);
  SAME(value(set, 3), 0);
  SAME(semctl(set, 1, GETPID), getpid());
  SAME(semctl(set, 3, GETPID), 0);
  join_child(pid);
  change(set, 2, -2, IPC_NOWAIT);
  struct semid_ds status;
  OK(semctl(set, 0, IPC_STAT, (union semaphore_argument){.status = &status}));
  SAME(status.sem_nsems, 5);
  SAME(status.sem_perm.mode & 0777, 0600);
  OK(semctl(set, 0, IPC_RMID));
}
static void takes(void* unused) {
  (void)unused;
  change(set, 0, -1, SEM_UNDO);
  mark("child");
  wait_go();
  SAME(value(set, 0), 4);
}
// What a process has taken is given back at its end.
static void undo(void) {
  set = semaphore_set(IPC_PRIVATE, 2);
  OK(semctl(set, 0, SETVAL, (union semaphore_argument){.value = 5}));
  pid_t pid = child(takes, NULL);
  await_mark("child");
  until_go();
  join_child(pid);
  SAME(value(set, 0), 5);
  OK(semctl(set, 0, IPC_RMID));
}
static void waits(void* unused) {
  (void)unused;
  change(set, 0, -3, 0);
  change(set, 1, 1, 0);
}
static void semaphore_wait(void) {
  set = semaphore_set(IPC_PRIVATE, 2);
  pid_t pid = child(waits, NULL);
  await_asleep(pid);
  until_go();
  SAME(value(set, 1), 0);
  change(set, 0, 3, 0);
  join_child(pid);
  SAME(value(set, 0), 0);
  SAME(value(set, 1), 1);
  OK(semctl(set, 0, IPC_RMID));
}

struct message {
  long type;
  char text[8000];
};
static int message_queue(key_t key) {
  int id = OK(msgget(key, IPC_CREAT | IPC_EXCL | 0600));
  note("-q", id);
  return id;
}
static void send_one(int id, long type, const char* text, size_t length) {
  static struct message message;
  message.type = type;
  memcpy(message.text, text, length);
  OK(msgsnd(id, &message, length, IPC_NOWAIT));
}
static void get_one(int id, long wanted, long type, const char* text, size_t length) {
  static struct message message;
  SAME(OK(msgrcv(id, &message, sizeof message.text, wanted, IPC_NOWAIT)), length);
  SAME(message.type, type);
  SAME(memcmp(message.text, text, length), 0);
}
static void messages(void) {
  static char large[8000];
  fill(large, sizeof large, 1);
  int id = message_queue(own_key());
  send_one(id, 3, "taken", 5);
  get_one(id, 0, 3, "taken", 5);
  send_one(id, 7, "seven", 5);
  send_one(id, 2, "two", 3);
  send_one(id, 7, "", 0);
  send_one(id, 1, large, sizeof large);
  until_go();
  SAME(msgget(own_key(), 0), id);
  struct msqid_ds status;
  OK(msgctl(id, IPC_STAT, &status));
  SAME(status.msg_qnum, 4);
  SAME(status.msg_lspid, getpid());
  SAME(status.msg_lrpid, getpid());
  SAME(status.msg_perm.mode & 0777, 0600);
  get_one(id, 2, 2, "two", 3);
  get_one(id, 0, 7, "seven", 5);
  get_one(id, -5, 1, large, sizeof large);
  get_one(id, 0, 7, "", 0);
  OK(msgctl(id, IPC_RMID, NULL));
}
static void message_limits(void) {
  int id = message_queue(IPC_PRIVATE);
  send_one(id, 1, "0123456789", 10);
  struct msqid_ds status;
  OK(msgctl(id, IPC_STAT, &status));
  status.msg_qbytes = 12;
  status.msg_perm.mode = 0640;
  OK(msgctl(id, IPC_SET, &status));
  until_go();
  OK(msgctl(id, IPC_STAT, &status));
  SAME(status.msg_qbytes, 12);
  SAME(status.msg_perm.mode & 0777, 0640);
  SAME(msgsnd(id, &(struct message){1, "abc"}, 3, IPC_NOWAIT), -1);
  get_one(id, 0, 1, "0123456789", 10);
  send_one(id, 1, "abc", 3);
  OK(msgctl(id, IPC_RMID, NULL));
}
static void nobody_used(void) {
  int queue = message_queue(own_key()), semaphore = semaphore_set(own_key(), 1), memory = segment(own_key(), 1, 0600);
  until_go();
  SAME(msgget(own_key(), 0), queue);
  SAME(semget(own_key(), 1, 0), semaphore);
  SAME(shmget(own_key(), 1, 0), memory);
  OK(msgctl(queue, IPC_RMID, NULL));
  OK(semctl(semaphore, 0, IPC_RMID));
  remove_segment(memory);
}

static const struct live_case cases[] = {{"shared", shared},
                                         {"readonly", readonly},
                                         {"partial", partial},
                                         {"several", several},
                                         {"removed", removed},
                                         {"odd_size", odd_size},
                                         {"detached", detached},
                                         {"sparse", sparse},
                                         {"locked", locked},
                                         {"code", code},
                                         {"huge", huge},
                                         {"semaphores", semaphores},
                                         {"undo", undo},
                                         {"semaphore_wait", semaphore_wait},
                                         {"messages", messages},
                                         {"message_limits", message_limits},
                                         {"nobody_used", nobody_used}};
RUN_CASES(cases)
