"""Keeps what OpenVINO compiled in the user's cache, so that the next start is faster.

    models/GRAPH-KEY.blob    the compiled model of a graph (by hash) for one device, driver and type
    models/GRAPH-KEY.json    its hash

OpenVINO's own CACHE_DIR finds a model by its path. Here the key is what the files hold: another
bundle at the same path is another model. Compiled code is loaded from this user's own files only;
see `own_cache`. OpenVINO itself checks the version and the device that a blob was made for.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from edgeseg.errors import BackendError
from edgeseg.files.whole import compute_sha256
from edgeseg.machine.cpu import describe_machine
from edgeseg.machine.own_cache import find_fault, make_own_folder, write_recorded
from edgeseg.progress import Progress
from edgeseg.runtime.backends.openvino_devices import (
    CPU,
    identify_device,
    list_all,
    to_own_name,
)

__all__ = ["compile_or_recall"]

# B0 takes some 15 MB. A bundle has a few variants, and a device a few bundles.
_KEPT: Final = 32


def compile_or_recall(
    core: Any,  # noqa: ANN401  # openvino has no types
    path: Path,
    device: str,
    options: Mapping[str, str],
    *,
    progress: Progress,
) -> Any:  # noqa: ANN401  # as above
    """Take a compiled model from the cache, or compile it and keep it there.

    A cache that cannot be used, or a device that gives nothing to keep, costs time and no more.

    Raises:
        RuntimeError: OpenVINO refuses the model.
    """
    name = to_own_name(device)
    kept = _find_place(core, path, device, options, progress)
    if kept is not None and _is_whole(kept):
        # A blob of another OpenVINO or processor is refused, and made anew.
        with suppress(RuntimeError, OSError):
            model = core.import_model(io.BytesIO(kept.read_bytes()), name, options)
            kept.touch()
            return model
    model = core.compile_model(str(path), name, options)
    if kept is not None:
        blob = io.BytesIO()
        with suppress(RuntimeError, OSError):
            model.export_model(blob)
            write_recorded(kept, blob.getvalue(), {"device": device})
            _remove_old(kept.parent)
    return model


def _find_place(
    core: Any,  # noqa: ANN401  # as above
    path: Path,
    device: str,
    options: Mapping[str, str],
    progress: Progress,
) -> Path | None:
    """Find the file for a compiled model; None where no cache can be used."""
    files = [one for one in (path, path.with_suffix(".bin")) if one.exists()]
    graph = hashlib.sha256("".join(map(compute_sha256, files)).encode()).hexdigest()
    if device == CPU:
        here = repr(describe_machine())
    else:
        (found,) = (one for one in list_all() if one.name == device)
        here = identify_device(core, found)
    plugin = str(core.get_versions(to_own_name(device).partition(".")[0]))
    facts = repr((plugin, here, sorted(options.items())))
    key = hashlib.sha256(facts.encode()).hexdigest()
    try:
        return make_own_folder("models") / f"{graph[:16]}-{key[:16]}.blob"
    except BackendError as error:
        progress.say(f"{error} (the model is compiled at each start)")
        return None


def _is_whole(path: Path) -> bool:
    try:
        return find_fault(path) is None
    except OSError:
        return False


def _remove_old(folder: Path) -> None:
    """Remove the models that were used least recently, beyond a number."""
    blobs = sorted(folder.glob("*.blob"), key=lambda path: path.stat().st_mtime, reverse=True)
    for blob in blobs[_KEPT:]:
        blob.with_suffix(".json").unlink(missing_ok=True)  # without its record no blob is loaded
        blob.unlink(missing_ok=True)
