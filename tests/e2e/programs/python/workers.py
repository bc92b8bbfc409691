"""A pool of two worker processes (pipes, semaphores in shared memory, a feeder thread), results appended in order.
usage: workers.py TASKS"""
import multiprocessing
import sys


def work(number):
    state = number
    for _ in range(200_000):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        state ^= state >> 29
    return number, state


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    with multiprocessing.Pool(2) as pool, open("results.txt", "a", encoding="ascii") as results:
        for number, state in pool.imap(work, range(int(sys.argv[1]))):
            results.write(f"{number} {state:016x}\n")
            results.flush()
            if number % 10 == 0:
                print("task", number, flush=True)
