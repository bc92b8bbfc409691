// For LD_PRELOAD: /proc/sys/kernel/random/boot_id is another file, the one that BATON_E2E_BOOT_ID names. So a worker
// can be started as after a reboot of its machine. A mount over that file would do for root only: with it, the kernel
// does not let an ordinary user mount a /proc for his capsule.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef int (*openat_function)(int directory, const char* path, int flags, ...);

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const char* other = getenv("BATON_E2E_BOOT_ID");
  if (other && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = other;
  return ((openat_function)dlsym(RTLD_NEXT, "openat"))(directory, path, flags, mode);
}
