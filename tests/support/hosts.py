"""Hosts of one network, as namespaces of this machine: apart but for files and processors."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Host:
    """`address` is known only to the other hosts."""

    namespace: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """Before a command that shall run there."""
        return ("ip", "netns", "exec", self.namespace)

    def unplug(self) -> None:
        """Nothing is heard of it any more, not even that a connection has ended."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """Linked by a switch that nothing outside is linked to."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("hosts need root and ip (tools/install-system-packages.sh --long)")
    names = [f"edgeseg{os.getpid()}-{number}" for number in range(count + 1)]
    switch = names[0]
    made = []
    try:
        for name in names:
            if subprocess.run(["ip", "netns", "add", name], check=False).returncode:
                pytest.skip("no network namespaces here")
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        found = []
        for number, name in enumerate(names[1:], start=1):
            port, address = f"port{number}", f"10.0.0.{number}"
            _ip("-n", switch, "link", "add", port, "type", "veth",
                "peer", "name", "eth0", "netns", name)  # fmt: skip
            _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            found.append(Host(name, address))
        yield found
    finally:
        for name in made:
            _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
