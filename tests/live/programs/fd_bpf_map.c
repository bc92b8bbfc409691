// BPF maps: hashes, arrays, prefix trees, values for each processor; frozen ones, descriptors for one direction.
// live-cases: hash array frozen read_only tree each_processor shared
// live-modes: plain pid pid-running capsule
#include <linux/bpf.h>

#include "target.h"

static int bpf(int command, union bpf_attr* attributes) {
  return (int)syscall(SYS_bpf, command, attributes, sizeof *attributes);
}
static int make(unsigned type, unsigned key, unsigned value, unsigned most, unsigned flags) {
  union bpf_attr attributes = {
      .map_type = type, .key_size = key, .value_size = value, .max_entries = most, .map_flags = flags};
  strcpy(attributes.map_name, "live_map");
  int map = bpf(BPF_MAP_CREATE, &attributes);
  if (map < 0) skip("no BPF maps here");
  return map;
}
static union bpf_attr entry(int map, const void* key, void* value) {
  union bpf_attr attributes = {.map_fd = (unsigned)map};
  attributes.key = (uintptr_t)key;
  attributes.value = (uintptr_t)value;
  return attributes;
}
static int put(int map, const void* key, void* value) {
  union bpf_attr attributes = entry(map, key, value);
  return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}
static int get(int map, const void* key, void* value) {
  union bpf_attr attributes = entry(map, key, value);
  return bpf(BPF_MAP_LOOKUP_ELEM, &attributes);
}
static struct bpf_map_info info_of(int map) {
  struct bpf_map_info info = {0};
  union bpf_attr attributes = {.info = {.bpf_fd = (unsigned)map, .info_len = sizeof info}};
  attributes.info.info = (uintptr_t)&info;
  OK(bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes));
  return info;
}
static void until_go(void) {
  ready();
  wait_go();
}

static void hash(void) {
  int map = make(BPF_MAP_TYPE_HASH, 8, 16, 1000, BPF_F_NO_PREALLOC);
  char value[16], seen[16];
  for (uint64_t i = 0; i < 900; i++) {
    fill(value, sizeof value, (unsigned)i);
    OK(put(map, &i, value));
  }
  until_go();
  for (uint64_t i = 0; i < 900; i++) {
    OK(get(map, &i, seen));
    check_filled(seen, sizeof seen, (unsigned)i, "value");
  }
  uint64_t other = 901;
  SAME(get(map, &other, seen), -1);
  SAME(errno, ENOENT);
  struct bpf_map_info info = info_of(map);
  SAME(info.max_entries, 1000);
  SAME(info.map_flags, BPF_F_NO_PREALLOC);
  CHECK(!strcmp(info.name, "live_map"), "%s", info.name);
  SAME(fcntl(map, F_GETFD), FD_CLOEXEC);
}
static void array(void) {
  int map = make(BPF_MAP_TYPE_ARRAY, 4, 100, 50, 0);
  char value[100];
  for (uint32_t i = 0; i < 50; i += 7) {
    fill(value, sizeof value, i);
    OK(put(map, &i, value));
  }
  until_go();
  for (uint32_t i = 0; i < 50; i++) {
    OK(get(map, &i, value));
    if (i % 7) {
      check_zero(value, sizeof value, "element");
    } else {
      check_filled(value, sizeof value, i, "element");
    }
  }
}
static void frozen(void) {
  int map = make(BPF_MAP_TYPE_ARRAY, 4, 8, 3, BPF_F_RDONLY_PROG);
  uint32_t key = 2;
  uint64_t value = 77;
  OK(put(map, &key, &value));
  union bpf_attr attributes = {.map_fd = (unsigned)map};
  OK(bpf(BPF_MAP_FREEZE, &attributes));
  until_go();
  value = 0;
  OK(get(map, &key, &value));
  SAME(value, 77);
  SAME(put(map, &key, &value), -1);
  SAME(errno, EPERM);
}
static void read_only(void) {
  int map = make(BPF_MAP_TYPE_HASH, 4, 4, 10, 0);
  uint32_t key = 5, value = 6;
  OK(put(map, &key, &value));
  union bpf_attr attributes = {.map_id = info_of(map).id, .open_flags = BPF_F_RDONLY};
  int reads = OK(bpf(BPF_MAP_GET_FD_BY_ID, &attributes));
  attributes.open_flags = BPF_F_WRONLY;
  int writes = OK(bpf(BPF_MAP_GET_FD_BY_ID, &attributes));
  close(map);
  until_go();
  SAME(put(reads, &key, &value), -1);
  SAME(get(writes, &key, &value), -1);
  value = 9;
  OK(put(writes, &key, &value));
  value = 0;
  OK(get(reads, &key, &value));
  SAME(value, 9);
}
static void tree(void) {
  struct {
    uint32_t bits;
    uint8_t address[4];
  } wide = {8, {10}}, narrow = {16, {10, 1}}, asked = {32, {10, 1, 2, 3}}, other = {32, {10, 9, 9, 9}};
  int map = make(BPF_MAP_TYPE_LPM_TRIE, sizeof wide, 4, 10, BPF_F_NO_PREALLOC);
  uint32_t one = 1, two = 2, seen;
  OK(put(map, &wide, &one));
  OK(put(map, &narrow, &two));
  until_go();
  OK(get(map, &asked, &seen));
  SAME(seen, 2);
  OK(get(map, &other, &seen));
  SAME(seen, 1);
}
static void each_processor(void) {
  enum { kMost = 1024 };
  static uint64_t values[kMost], seen[kMost];
  int map = make(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 2, 0);
  for (int i = 0; i < kMost; i++) values[i] = (uint64_t)i * 3 + 1;
  uint32_t key = 1;
  OK(put(map, &key, values));
  memset(values, 0, sizeof values);
  OK(get(map, &key, values));  // as many as there are processors
  CHECK(values[0] == 1, "%llu", (unsigned long long)values[0]);
  until_go();
  OK(get(map, &key, seen));
  SAME(memcmp(values, seen, sizeof values), 0);
}
static int common;
static void changes(void* unused) {
  (void)unused;
  mark("child");
  wait_go();
  uint32_t key = 1, value = 11;
  OK(put(common, &key, &value));
}
static void shared(void) {
  common = make(BPF_MAP_TYPE_LRU_HASH, 4, 4, 10, 0);
  pid_t pid = child(changes, NULL);
  await_mark("child");
  until_go();
  join_child(pid);
  uint32_t key = 1, value = 0;
  OK(get(common, &key, &value));
  SAME(value, 11);
}

static const struct live_case cases[] = {{"hash", hash},
                                         {"array", array},
                                         {"frozen", frozen},
                                         {"read_only", read_only},
                                         {"tree", tree},
                                         {"shared", shared},
                                         {"each_processor", each_processor}};
RUN_CASES(cases)
