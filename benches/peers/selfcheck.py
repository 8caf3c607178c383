"""Tests of run.py: `run.py --self-check`. Made-up workers stand in for the frameworks."""

import argparse
import sys
import unittest
from pathlib import Path

import report
import run
from frameworks import Framework, Unavailable, prepare
from turns import Series, Worker, WorkerError, environment
from workloads import Workload

WORKLOAD = Workload("made_up", compared=4, steps=8, fall=0.9)

# A worker whose loss falls by `decay` a step and, from the third on, is off by the factor `skew`.
# `stall` makes it silent, `crash` and `crash later` make it end, when it is asked to run steps.
WORKER = """
import json, sys, time
decay, skew, mode, pace = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], float(sys.argv[4])
print(json.dumps({"ready": "made up"}), flush=True)
step = 0
def loss():
    global step
    step += 1
    return decay ** (step - 1) * (skew if step > 2 else 1)
for line in sys.stdin:
    request = json.loads(line)
    if request.get("quit"):
        print(json.dumps({"peak_bytes": 2**20}), flush=True)
        break
    if "losses" in request:
        print(json.dumps({"losses": [loss() for _ in range(request["losses"])]}), flush=True)
        continue
    if mode == "crash" or mode == "crash later" and step > 20:
        sys.exit(3)
    if mode == "stall":
        time.sleep(60)
    for _ in range(request["steps"]):
        last = loss()
    print(json.dumps({"ms": pace * request["steps"], "loss": last}), flush=True)
"""


def made_up(name: str, decay=0.95, skew=1.0, mode="sound", pace=10.0) -> Framework:
    return Framework(name, [sys.executable, "-c", WORKER, str(decay), str(skew), mode, str(pace)])


def compete(*frameworks: Framework) -> list[Series]:
    options = argparse.Namespace(threads=1, timeout=300, seconds=0.02, rounds=5)
    return run.compare(WORKLOAD, Path("none"), list(frameworks), options)


class Comparison(unittest.TestCase):
    def setUp(self) -> None:
        self.progress, run.progress = run.progress, lambda text: None

    def tearDown(self) -> None:
        run.progress = self.progress

    def test_agreeing_losses_pass_and_ratios_are_paired(self) -> None:
        ours, slow, fast = compete(
            made_up("onestep"), made_up("slow", pace=40), made_up("fast", pace=20)
        )
        self.assertEqual([ours.error, slow.error, fast.error], [None, None, None])
        self.assertEqual(len(ours.turns), 10)
        self.assertEqual([round(ratio, 6) for ratio in slow.ratios], [4] * 5)
        self.assertEqual([round(ratio, 6) for ratio in fast.ratios], [2] * 5)
        self.assertIs(report.best_peer([ours, slow, fast]), fast)
        self.assertEqual(ours.peak_bytes, 2**20)
        self.assertIn("fast *", report.render(report.rows(WORKLOAD, [ours, slow, fast]), True))

    def test_losses_that_disagree_fail(self) -> None:
        ours, peer = compete(made_up("onestep"), made_up("torch", skew=1.01))
        self.assertIn("loss 3", ours.error)
        self.assertIsNone(peer.error)
        self.assertEqual(status(ours, peer), 1)

    def test_losses_that_are_no_numbers_fail(self) -> None:
        ours, peer = compete(made_up("onestep"), made_up("candle", skew=float("nan")))
        self.assertIsNone(ours.error)
        self.assertIn("got nan", peer.error)

    def test_losses_that_do_not_fall_fail(self) -> None:
        ours, peer = compete(made_up("onestep", decay=1.0), made_up("torch", decay=1.0))
        self.assertIn("the loss fell from 1 to 1", ours.error)
        self.assertEqual(status(ours, peer), 1)

    def test_a_peer_that_crashes_is_reported_and_the_others_go_on(self) -> None:
        ours, sound, broken = compete(
            made_up("onestep"), made_up("burn", mode="crash"), made_up("candle")
        )
        self.assertEqual((sound.name, broken.name), ("candle", "burn"))
        self.assertIn("status 3", broken.error)
        self.assertEqual(len(sound.ratios), 5)
        self.assertEqual(status(ours, sound, broken), 1)

    def test_a_peer_that_crashes_between_turns_keeps_them(self) -> None:
        ours, broken, sound = compete(
            made_up("onestep"), made_up("burn", mode="crash later"), made_up("candle")
        )
        self.assertIn("status 3", broken.error)
        self.assertLess(len(broken.ratios), 5)
        self.assertEqual(len(sound.ratios), 5)
        self.assertEqual((ours.error, sound.error), (None, None))

    def test_a_worker_that_is_silent_is_given_up(self) -> None:
        command = made_up("burn", mode="stall").start("none", Path("none"))
        worker = Worker("burn", command, environment(1), 300)
        worker.timeout = 0.2
        with self.assertRaisesRegex(WorkerError, "no answer within 0.2 s"):
            worker.steps(1)
        worker.end()

    def test_an_answer_that_is_none_is_an_error(self) -> None:
        command = [sys.executable, "-c", "print('Hello')"]
        with self.assertRaisesRegex(WorkerError, "expected ready, got Hello"):
            Worker("burn", command, environment(1), 300)

    def test_slow_learners_still_have_a_tolerance(self) -> None:
        self.assertIsNone(report.disagreement(WORKLOAD, [2.0, 1e-5], [2.0, 1.1e-5]))
        wrong = report.disagreement(WORKLOAD, [2.0, 1.0], [2.0, 1.01])
        self.assertIn("loss 2: expected 1 within 0.001", wrong)

    def test_what_is_missing_says_how_to_get_it(self) -> None:
        with self.assertRaisesRegex(Unavailable, "No such file"):
            prepare("torch", "/nonexistent/python", build=False)
        with self.assertRaisesRegex(Unavailable, "tensorflow: unknown; there are"):
            prepare("tensorflow", sys.executable, build=False)


def status(*series: Series) -> int:
    """The exit status that the series give."""
    from contextlib import redirect_stdout
    from io import StringIO

    run.WORKLOADS[WORKLOAD.name] = WORKLOAD
    options = argparse.Namespace(threads=1, rounds=5, markdown=False)
    with redirect_stdout(StringIO()):
        return run.conclude(options, {WORKLOAD.name: list(series)})


def check() -> int:
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Comparison)
    return 0 if unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful() else 1
