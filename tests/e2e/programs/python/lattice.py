"""A lattice of spins in a file that is mapped, shared and writable; the random generator's state lives in memory only.
usage: lattice.py SWEEPS"""
import sys

import numpy

SIZE = 512
random = numpy.random.default_rng(11)
spins = numpy.memmap("spins.bin", dtype=numpy.int8, mode="w+", shape=(SIZE, SIZE))
spins[:] = random.integers(0, 2, (SIZE, SIZE)) * 2 - 1
parity = numpy.add.outer(numpy.arange(SIZE), numpy.arange(SIZE)) % 2
for sweep in range(int(sys.argv[1])):
    for colour in (0, 1):
        around = sum(numpy.roll(spins, shift, axis) for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)))
        flip = (parity == colour) & (random.random((SIZE, SIZE)) < numpy.exp(-0.88 * spins * around))
        spins[flip] *= -1
    if sweep % 20 == 0:
        print(sweep, int(spins.sum(dtype=numpy.int64)), flush=True)
spins.flush()
