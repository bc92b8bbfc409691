"""Heat on a plate, the sum of each step appended to a file; the last state is saved. usage: heat.py STEPS"""
import sys

import numpy

plate = numpy.random.default_rng(7).random((700, 700))
with open("sums.txt", "a", encoding="utf-8") as sums:
    for step in range(int(sys.argv[1])):
        plate[1:-1, 1:-1] += 0.2 * (plate[:-2, 1:-1] + plate[2:, 1:-1] + plate[1:-1, :-2] + plate[1:-1, 2:]
                                    - 4 * plate[1:-1, 1:-1])
        sums.write(f"{step} {plate.sum():.12e}\n")
        if step % 100 == 0:
            sums.flush()
            print("step", step, flush=True)
plate.tofile("plate.bin")
