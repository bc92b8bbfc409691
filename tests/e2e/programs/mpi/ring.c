/* Two processes: a token goes round, with a message that grows and shrinks, then all add up. */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int rounds = atoi(argv[argc - 1]), most = 65536;
  uint64_t *token = calloc((size_t)most, sizeof(*token)), sum = 0, all = 0;
  for (int round = 0; round < rounds; ++round) {
    const int count = 1 + round * 7919 % most;
    if (rank == 0) {
      for (int n = 0; n < count; ++n) token[n] = token[n] * 6364136223846793005u + (uint64_t)(n + round);
      MPI_Send(token, count, MPI_UINT64_T, 1 % size, round % 100, MPI_COMM_WORLD);
    }
    MPI_Recv(token, count, MPI_UINT64_T, (rank + size - 1) % size, round % 100, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    for (int n = 0; n < count; ++n) sum = sum * 31 + (token[n] ^= (uint64_t)rank);
    if (rank != 0) MPI_Send(token, count, MPI_UINT64_T, (rank + 1) % size, round % 100, MPI_COMM_WORLD);
    if (round % 1000 == 0) {
      MPI_Allreduce(&sum, &all, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
      if (rank == 0) {
        printf("%d %016lx\n", round, (unsigned long)all);
        fflush(stdout);
      }
    }
  }
  MPI_Reduce(&sum, &all, 1, MPI_UINT64_T, MPI_BXOR, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("end %016lx\n", (unsigned long)all);
  MPI_Finalize();
  return 0;
}
