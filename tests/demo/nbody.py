#!/usr/bin/env python3
"""Gravitating bodies, integrated by leapfrog; after every step the total energy is appended to `energies`, and at the
end the state is written to `final`. Deterministic to the last bit.

usage: nbody.py START_LOG STEPS     START_LOG gets one line "start" when, and only when, the program starts anew.
"""
import sys

import numpy as np

BODIES = 48
SUBSTEPS = 80
DT = 1e-5


def accelerations(position, mass):
    distance = position[np.newaxis, :, :] - position[:, np.newaxis, :]
    inverse = ((distance * distance).sum(axis=2) + 1e-4) ** -1.5
    return (distance * (inverse * mass)[:, :, np.newaxis]).sum(axis=1)


def energy(position, velocity, mass):
    distance = position[np.newaxis, :, :] - position[:, np.newaxis, :]
    length = np.sqrt((distance * distance).sum(axis=2) + 1e-4)
    potential = -(mass[:, np.newaxis] * mass / length)[np.triu_indices(len(mass), 1)].sum()
    return 0.5 * (mass[:, np.newaxis] * velocity * velocity).sum() + potential


def main():
    start_log, steps = sys.argv[1], int(sys.argv[2])
    with open(start_log, "a", encoding="ascii") as log:
        log.write("start\n")
    random = np.random.RandomState(2026)
    mass = random.uniform(0.5, 1.5, BODIES)
    position = random.uniform(-1, 1, (BODIES, 3))
    velocity = random.uniform(-1, 1, (BODIES, 3))
    with open("energies", "a", encoding="ascii") as energies:
        for step in range(1, steps + 1):
            for _ in range(SUBSTEPS):
                velocity += 0.5 * DT * accelerations(position, mass)
                position += DT * velocity
                velocity += 0.5 * DT * accelerations(position, mass)
            energies.write(f"{step} {energy(position, velocity, mass).hex()}\n")
            energies.flush()
            if step % 50 == 0:
                print("step", step, flush=True)
    with open("final", "wb") as final:
        final.write(position.tobytes() + velocity.tobytes())
    print("done")


main()
