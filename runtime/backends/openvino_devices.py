"""Lists the devices that OpenVINO offers here, and identifies each with its driver."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edgeseg.errors import MissingPackageError
from edgeseg.machine.cpu import describe_machine
from edgeseg.runtime.backends.placing import Device

__all__ = ["CPU", "identify_device", "list_all", "open_core", "read_float_types", "to_own_name"]

CPU: Final = "cpu"
# How Linux, macOS and Windows name 64-bit Arm.
_ARM: Final = ("aarch64", "arm64", "ARM64")
# From the manifest's names of float types to those of OpenVINO's capabilities.
_CAPABILITIES: Final = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}
# OpenVINO's virtual devices compute on the others.
_REAL: Final = ("GPU", "NPU")
# Intel's user-space drivers, which a plugin loads. Only the NPU's plugin tells their version.
_DRIVERS: Final = ("intel-opencl/libigdrcl.so", "libze_intel_gpu.so.1", "libze_intel_npu.so.1")
_FOLDERS: Final = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


def open_core() -> Any:  # noqa: ANN401  # openvino has no types
    """Open OpenVINO.

    Raises:
        MissingPackageError: openvino is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise MissingPackageError(
            "openvino",
            purpose="running this bundle",
            command="pip install 'edgeseg[openvino]' -c constraints.txt",
        ) from None
    return openvino.Core()


def list_all() -> tuple[Device, ...]:
    """List the CPU, then GPUs and NPUs with the types that they compute in: FP16 comes first."""
    try:
        core = open_core()
        names = [name for name in core.available_devices if name.partition(".")[0] in _REAL]
    except (MissingPackageError, RuntimeError):
        return (Device(name=CPU),)
    return (_describe_cpu(core), *(_describe(core, name) for name in sorted(names)))


def to_own_name(device: str) -> str:
    """Give OpenVINO's name of a device: `GPU.1` for `gpu.1`."""
    return device.upper()


def read_float_types(core: Any, device: str) -> tuple[str, ...]:  # noqa: ANN401  # as above
    """Read the float types that a device computes in natively."""
    able = core.get_property(to_own_name(device), "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, capability in _CAPABILITIES.items() if capability in able)


def identify_device(core: Any, device: Device) -> str:  # noqa: ANN401  # as above
    """Identify a device and its driver: when they change, variants are proved again."""
    name = to_own_name(device.name)
    versions = {
        key: str(core.get_property(name, key))
        for key in core.get_property(name, "SUPPORTED_PROPERTIES")
        if key.endswith("VERSION")
    }
    return repr((device, versions, platform.release(), list(_find_drivers())))


def _describe_cpu(core: Any) -> Device:  # noqa: ANN401  # as above
    """Describe the CPU; only Arm's has types, where FP16 halves the vectors of FP32.

    An x86 CPU is served by the bundle's own variants: they were chosen on one, and name BF16.
    """
    if describe_machine().architecture not in _ARM:
        return Device(name=CPU)
    able = read_float_types(core, CPU)
    return Device(name=CPU, types=("f16", "f32") if "f16" in able else ())


def _describe(core: Any, name: str) -> Device:  # noqa: ANN401  # as above
    device = name.lower()
    try:
        title = str(core.get_property(name, "FULL_DEVICE_NAME"))
        able = read_float_types(core, device)
    except RuntimeError:  # it says so again, in one line, when a model is compiled for it
        title, able = "", ()
    types = tuple(one for one in ("f16", "f32") if one in able)
    return Device(name=device, title=title, types=types or ("f16",))


def _find_drivers() -> Iterator[tuple[str, int, int]]:
    for folder in _FOLDERS:
        for file in _DRIVERS:
            path = Path(folder, file)
            if path.exists():
                status = path.stat()
                yield str(path), status.st_size, int(status.st_mtime)
