"""What tests save in their own process and in those that they start, each as it is imported."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["FOLDER", "save_work"]

# With sitecustomize.py, which a Python that has this folder on its path runs first.
FOLDER: Final = Path(__file__).parent
# The tests that are about the check with a checkpoint's own framework, or show what it says.
OF_FRAMEWORKS: Final = (
    *("tests/export/", "tests/tools/test_checkpoint_zoo.py", "tests/docs/test_readme.py"),
)


def save_work() -> None:
    """Change the modules of `SAVINGS`, those that are imported later as soon as they are."""
    sys.meta_path.insert(0, _Saver())
    for name, save in SAVINGS.items():
        if name in sys.modules:
            save(sys.modules[name])


def _start_one_thread(onnxruntime: ModuleType) -> None:
    """As OMP_NUM_THREADS, which ONNX Runtime does not read. A test may still ask for more."""

    class Options(onnxruntime.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = 1

    onnxruntime.SessionOptions = Options


def _time_few_rounds(timing: ModuleType) -> None:
    """No test asserts a time."""
    timing.ROUNDS = 3


def _check_where_it_counts(graph: ModuleType) -> None:
    """Hundreds of exports run in tests, and transformers takes seconds to import."""
    check = graph.check_own_framework

    def check_or_skip(*args: object) -> object:
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        return check(*args) if test.startswith(OF_FRAMEWORKS) else None

    graph.check_own_framework = check_or_skip


SAVINGS: Final[dict[str, Callable[[ModuleType], None]]] = {
    "onnxruntime": _start_one_thread,
    "edgeseg.runtime.timing": _time_few_rounds,
    "edgeseg.deploy.graph": _check_where_it_counts,
}


class _Saver(MetaPathFinder):
    """Finds what the others find, and changes it once it is loaded."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in SAVINGS or name in self.asked:
            return None
        self.asked.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.asked.remove(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_save(module: ModuleType) -> None:
                load(module)
                SAVINGS[name](module)

            spec.loader.exec_module = load_and_save  # type: ignore[method-assign]
        return spec
