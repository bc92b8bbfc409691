"""The controller killed before and after each write to its database, in turn."""
import itertools
import signal
import threading

from harness import PATIENCE_S, Failure, check, wait_until
from pool_harness import Pool, PoolSteps


class Mortal:
    """A pool's controller that kills itself at the `passage`-th point, and is started again at once."""

    def __init__(self, pool, passage):
        self.pool, self.controller, self.died = pool, pool.controller, False
        pool.start_controller(BATON_DIE_AT=str(passage))
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()

    def watch(self):
        if self.controller.process.wait() == -signal.SIGKILL:
            self.died = True
            self.pool.start_controller()

    def end(self):
        """Whether it died."""
        if not self.died:
            self.controller.process.terminate()
        self.watcher.join()
        if self.died:
            self.controller.process.terminate()
        check(self.controller.process.wait(PATIENCE_S) == 0, f"exit code {self.controller.process.returncode}")
        return self.died


def asked_again(question):
    """What `question` answers; if the controller dies of it, or is not back yet, it is asked again."""
    answers, failures = [], []

    def ask():
        try:
            answers.append(question())
        except Failure as failure:
            failures.append(failure)
        return answers
    return wait_until(ask, lambda: f"an answer: {failures[-1:]}")[0]


def life_of_a_job(pool, passage):
    """From its submission, with a checkpoint, to its result."""
    steps = PoolSteps(pool, name=f"steps{passage}")
    asked_again(lambda: steps.submit("--name", f"job{passage}"))
    steps.allow(2)
    wait_until(lambda: steps.reached(2, 1), "its second step")
    asked_again(lambda: pool.json("checkpoint", steps.job))
    steps.end(4)
    shown = asked_again(lambda: pool.ends(steps.job))
    check(len(shown["attempts"]) == 1, f"a dead controller is no reason for a second attempt: {shown}")
    check(shown["checkpoints"], f"no checkpoint: {shown}")
    asked_again(lambda: steps.check_result(4, name=f"result{passage}"))


def case_killed_at_each(sandbox):
    pool = Pool(sandbox, cpus=2)  # two, for a job whose number its submitter never heard
    pool.controller.end()
    for passage in itertools.count(1):
        mortal = Mortal(pool, passage)
        try:
            life_of_a_job(pool, passage)
            # One that was submitted though nobody was told its number ends like any other.
            for job in pool.json("ps"):
                if job["name"] == f"job{passage}":
                    pool.ends(job["job"])
        finally:
            died = mortal.end()
        if not died:
            break
    check(passage > 10, f"{passage - 1} points: not the life of a job")
