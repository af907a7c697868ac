"""Trains a program against the FP32 network, its teacher.

The student sees what the teacher sees, and learns its logits. Three lessons follow each other:
first the scales and shifts alone, some ten thousand numbers; then each block by itself, from what
the blocks before it really give; then everything, at a small rate. The average of the last steps is
compared with the teacher on images held back. What is nearest is kept, the start included. A lesson
ends early if nothing came nearer for a while, whatever the lessons before it reached.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from edgeseg.accuracy.metrics import confusion, mean_iou
from edgeseg.progress import Progress
from edgeseg.recovery.example import Read
from edgeseg.recovery.losses import find_cross_entropy, find_divergence
from edgeseg.recovery.memory import check_memory, explain_full_gpu
from edgeseg.recovery.network import Network
from edgeseg.recovery.program import Kind, Program, Values
from edgeseg.recovery.state import State, recall_state, save_state
from edgeseg.recovery.weather import disturb

if TYPE_CHECKING:
    from edgeseg.pixels import ClassMap, Frame

__all__ = ["LESSONS", "Lesson", "Outcome", "Task", "train"]

# How often the average is compared with the teacher, and the share of the time that this may take.
_CHECKS: Final = 24
_CHECKING: Final = 0.15
# A lesson ends after so many checks without a new best state: a quarter of a whole training.
_PATIENCE: Final = 6
_WARM_UP: Final = 20
# Images that are learned and images held back are changed by other random numbers.
_LEARNED: Final = 1
_HELD: Final = 2
# Ground truth counts much less than what FP32 says of the same pixels, as in Hinton et al. 2015.
_LABELS: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What learns, how fast, and in which share of the time.

    `rate` is that of Adam, in units of each constant. With `apart` each block learns by itself.
    """

    name: str
    share: float
    kinds: tuple[Kind, ...]
    rate: float
    apart: bool = False


LESSONS: Final = (
    Lesson(name="scales and shifts", share=0.2, kinds=(Kind.SCALE, Kind.SHIFT), rate=0.05),
    Lesson(
        name="block by block", share=0.2, kinds=(Kind.SHIFT, Kind.WEIGHT), rate=0.03, apart=True
    ),
    Lesson(name="everything", share=0.6, kinds=(Kind.SHIFT, Kind.WEIGHT), rate=0.005),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What training found: the constants, and their mean IoU with the teacher's masks, in points.

    `seconds` are those of all runs, if a training was broken off and went on.
    """

    values: Values
    steps: int
    seconds: float
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a training works with.

    `learned` and `held_back` read examples. The ground truth of those learned from takes part,
    where they have one. `keep` is the file that a training goes on from after it was broken off.
    """

    teacher: Program
    learned: Sequence[Read]
    held_back: Sequence[Read]
    seconds: float
    seed: int
    keep: Path
    lessons: Sequence[Lesson]


def train(starts: Sequence[Program], task: Task, progress: Progress) -> Outcome:
    """Train a program until its time is up, or it agrees no better for a while.

    `starts` are the program as it is, and with other constants. It is trained from the one that
    agrees best with the teacher.

    Raises:
        ExportError: the machine, or its GPU, has too little memory for it.
    """
    with explain_full_gpu():
        return _Training(starts, task, progress).run()


class _Training:
    """One training. Which image a step sees, and how it is changed, depends on the seed alone."""

    def __init__(self, starts: Sequence[Program], task: Task, progress: Progress) -> None:
        self._task = task
        self._progress = progress
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._teacher = Network(task.teacher).to(self._device)
        self._teacher.select()
        self._shown = [self._to_device(frame) for frame in self._list_shown()]
        with torch.no_grad():
            first = self._teacher(self._shown[0])
        check_memory(first.elements)
        self._classes = first.logits.shape[1]
        self._expected = [self._classify(self._teacher, image) for image in self._shown]
        students = [Network(program).to(self._device) for program in starts]
        begun = time.monotonic()
        agreements = [self._measure(student) for student in students]
        check_s = (time.monotonic() - begun) / len(students)
        self._before, self._now = agreements[0], max(agreements)
        self._every_s = max(task.seconds / _CHECKS, check_s / _CHECKING)
        self._students, self._nearest = students, int(np.argmax(agreements))
        self._use(self._nearest)
        self._begun = time.monotonic()

    def run(self) -> Outcome:
        state = recall_state(self._task.keep)
        if state is None:
            start = self._student.copy_changes()
            state = State(
                begun_from=self._nearest, before=self._before, now=self._now, after=self._now,
                changes=start, average=start, best=start,
            )  # fmt: skip
        else:
            self._progress.say(f"  going on after {state.taken} steps")
            self._use(state.begun_from)
            self._begun -= state.seconds
        share = 0.0
        for place, lesson in enumerate(self._task.lessons):
            share += lesson.share
            if place == state.lesson:
                state = self._give(lesson, state, share * self._task.seconds)
        self._student.load_changes(state.best)
        return Outcome(
            values=self._student.export_values(),
            steps=state.taken,
            seconds=state.seconds,
            before=state.before,
            after=state.after,
        )

    def _use(self, start: int) -> None:
        """Train one of the starts."""
        self._student = self._students[start]
        self._average = copy.deepcopy(self._student)
        self._average.select()

    def _give(self, lesson: Lesson, state: State, end_s: float) -> State:
        """Give the lesson at which a state is, until `end_s`, and return the state after it.

        The rate falls with the time, so that a machine that becomes slower ends the lesson, too.
        """
        self._student.load_changes(state.changes)
        self._average.load_changes(state.average)
        whole_s = end_s - state.begun_s
        if whole_s <= 0:  # the comparison after the lesson before took its time
            return replace(state, lesson=state.lesson + 1)
        parameters = self._student.select(*lesson.kinds)
        optimizer = torch.optim.Adam(parameters, lr=lesson.rate, betas=(0.9, 0.99))
        check_at, checked, idle = self._spent_s + self._every_s, state.taken, 0
        for step in count():
            spent_s = min(self._spent_s - state.begun_s, whole_s)
            self._tell(lesson, state, state.begun_s + spent_s)
            rate = lesson.rate * min(1.0, (step + 1) / _WARM_UP) * (1 - spent_s / whole_s)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = self._find_loss(state.taken, apart=lesson.apart)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own is not annotated
            optimizer.step()
            self._average.move_to(self._student, share=max(0.02, 9 / (step + 10)))
            state = replace(state, taken=state.taken + 1)
            # Each lesson takes a step at least: loading its optimizer may take all of a short one.
            if self._spent_s - state.begun_s >= whole_s:
                break
            if self._spent_s < check_at:
                continue
            best = state.after
            state = self._check(state)
            check_at, checked = self._spent_s + self._every_s, state.taken
            idle = 0 if state.after > best else idle + 1
            if idle == _PATIENCE:
                break
        if state.taken > checked:
            state = self._check(state)
        # The next lesson goes on from what was best.
        return replace(
            state,
            lesson=state.lesson + 1,
            begun_s=self._spent_s,
            changes=state.best,
            average=state.best,
        )

    def _tell(self, lesson: Lesson, state: State, spent_s: float) -> None:
        """Tell which lesson is given, the best agreement so far, and the time of the whole."""
        number = f"lesson {state.lesson + 1} of {len(self._task.lessons)}"
        name = f"recovering, {number}, {lesson.name}, best mean IoU {state.after:.2f}"
        self._progress.phase(name, int(spent_s), math.ceil(self._task.seconds), "second")

    def _check(self, state: State) -> State:
        """Compare the average with the teacher, keep it if it is the best, and save the state."""
        agreement = self._measure(self._average)
        average = self._average.copy_changes()
        state = replace(
            state,
            seconds=self._spent_s,
            changes=self._student.copy_changes(),
            average=average,
            now=agreement,
            after=max(agreement, state.after),
            best=average if agreement > state.after else state.best,
        )
        save_state(self._task.keep, state)
        self._progress.say(
            f"  mean IoU {agreement:.2f} with the masks of FP32 on images held back, after "
            f"{state.taken} steps; best {state.after:.2f}, at first {state.before:.2f}"
        )
        return state

    @property
    def _spent_s(self) -> float:
        return time.monotonic() - self._begun

    def _list_shown(self) -> Iterator[Frame]:
        """List the held-back images as they are, and once more in other light."""
        for place, read in enumerate(self._task.held_back):
            example = read()
            yield example.frame
            yield disturb(example, np.random.default_rng((self._task.seed, _HELD, place))).frame

    def _find_loss(self, step: int, *, apart: bool) -> Tensor:
        """Compare student and teacher on the image of a step, and with its ground truth."""
        random = np.random.default_rng((self._task.seed, _LEARNED, step))
        example = self._task.learned[int(random.integers(len(self._task.learned)))]()
        example = disturb(example, random)
        image = self._to_device(example.frame)
        with torch.no_grad():
            expected = self._teacher(image)
        found = self._student(image, apart=apart)
        loss = find_divergence(found.logits, expected.logits)
        for name, value in found.blocks.items():
            wanted = expected.blocks[name]
            loss = loss + (value - wanted).square().mean() / wanted.var()
        # By its logarithm an image in fog, which loses ten times as much, counts as any other.
        loss = loss.log()
        if example.truth is None:
            return loss
        truth = torch.from_numpy(example.truth.astype(np.int64)).to(self._device)
        corners = example.align_corners
        return loss + _LABELS * find_cross_entropy(found.logits, truth, align_corners=corners)

    def _measure(self, network: Network) -> float:
        """Measure the mean IoU with the teacher's masks of the held-back images, in points."""
        pairs = zip(self._shown, self._expected, strict=True)
        counts = [
            confusion(
                wanted,
                self._classify(network, image),
                classes=self._classes,
                ignore_index=self._classes,
            )
            for image, wanted in pairs
        ]
        return mean_iou(np.sum(counts, axis=0))

    @torch.no_grad()
    def _classify(self, network: Network, image: Tensor) -> ClassMap:
        classes: ClassMap = network(image).logits[0].argmax(0).cpu().numpy().astype(np.uint16)
        return classes

    def _to_device(self, frame: Frame) -> Tensor:
        return torch.tensor(frame, device=self._device)
