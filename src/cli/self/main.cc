// What `baton checkpoint --self` becomes before it waits: a program of some hundred KiB, in memory only. As a part of
// the job it is saved with it; baton itself would have to be the same, with all of its libraries, when the job is
// resumed.
#include <string.h>
#include <sys/prctl.h>

#include "cli/self/ask.h"

int main(int argc, char** argv) {
  prctl(PR_SET_NAME, "baton-self");
  if (argc < 2) return 125;
  return baton::AskForCheckpoint(argv[1], argc > 2 && strcmp(argv[2], "json") == 0);
}
