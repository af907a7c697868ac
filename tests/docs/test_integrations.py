"""The page of other programs: its pipes, addresses, node and Dockerfile do what it says."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jinja2
import pytest
import yaml
from conftest import ROOT
from previews import TOKEN, get, preview, result
from restreams import find_port

from edgeseg.cli.main import list_commands
from edgeseg.cli.usage import check_usage
from edgeseg.machine.extras import EXTRAS
from edgeseg.runtime.segmenter import Segmenter

PAGE = (ROOT / "docs" / "integrations.md").read_text("utf-8")
DOCKERFILE = (ROOT / "docs" / "docker" / "Dockerfile").read_text("utf-8")
MOSQUITTO = ("mosquitto", "mosquitto_pub", "mosquitto_sub")


def code(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def broker() -> Iterator[int]:
    """The port of a broker on loopback."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    found = [shutil.which(name, path=path) for name in MOSQUITTO]
    if None in found:
        pytest.skip("needs the Debian packages mosquitto and mosquitto-clients")
    port = find_port()
    with subprocess.Popen([str(found[0]), "-p", str(port)], stderr=subprocess.DEVNULL) as process:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
        process.terminate()


def test_each_line_becomes_a_message(broker: int, reader: Callable[[str], Path]) -> None:
    (pipe,) = (block for block in code("sh") if "mosquitto_pub" in block)
    folder = reader(pipe)
    to = ["-h", "127.0.0.1", "-p", str(broker), "-t", "edgeseg/street"]
    listen = ["stdbuf", "-oL", "mosquitto_sub", *to, "-C", "24", "-W", "60", "-d"]
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as subscriber:
        assert subscriber.stdout is not None
        told = iter(subscriber.stdout.readline, "")
        assert any("SUBACK" in line for line in told)
        script = pipe.replace("-h BROKER -p 1883", f"-h 127.0.0.1 -p {broker}")
        script += script.replace("| mosquitto_pub", "> lines.jsonl; true | : mosquitto_pub")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        run = ["bash", "-euo", "pipefail", "-c", script]
        subprocess.run(run, cwd=folder, env=os.environ | {"PATH": path}, check=True)
        came = [line for line in told if line.startswith("{")]
    assert came == (folder / "lines.jsonl").read_text().splitlines(keepends=True)
    assert len(came) == 24


def test_home_assistants_templates_find_what_they_name() -> None:
    (text,) = code("yaml")
    resources = yaml.safe_load(text)["rest"]
    assert [one["resource"] for one in resources] == [
        f"http://EDGE:8008{path}" for path in ("/stats", "/healthz")
    ]
    with preview(TOKEN) as sink:
        sink.write(result(0))
        rendered = {}
        for one in resources:
            bearer = {key: value.replace("TOKEN", TOKEN) for key, value in one["headers"].items()}
            status, _, body = get(sink, one["resource"].removeprefix("http://EDGE:8008"), **bearer)
            assert status == 200
            known = {"value_json": json.loads(body)}
            for entry in (*one.get("sensor", ()), *one.get("binary_sensor", ())):
                template = jinja2.Template(entry["value_template"])
                rendered[entry["name"]] = template.render(known)
    assert float(rendered["Street pedestrians"]) > 0
    assert float(rendered["Street frames a second"]) >= 0
    assert rendered["Street runs"] == "True"


def test_node_reds_flow_asks_and_finds() -> None:
    (flow,) = (json.loads(text) for text in code("json") if text.startswith("["))
    nodes = {node["id"]: node for node in flow}
    assert all(to in nodes for node in flow for wire in node["wires"] for to in wire)
    path = (
        nodes["stats"]["url"]
        .removeprefix("http://EDGE:8008")
        .replace("TOKEN", TOKEN.replace(" ", "%20"))
    )
    with preview(TOKEN) as sink:
        sink.write(result(0))
        _, _, body = get(sink, path)
    value = {"payload": json.loads(body)}
    for key in nodes["many"]["property"].split("."):
        value = value[key]
    assert value > 0


def test_the_preview_has_the_addresses_of_the_table() -> None:
    paths = re.findall(r"^\| `(/\w+)` \|", PAGE, re.MULTILINE)
    assert len(paths) == 5
    with preview() as sink:
        sink.write(result(0))
        assert {get(sink, path)[0] for path in paths if path != "/stream"} == {200}


def test_the_ros_node_is_short_and_uses_what_there_is() -> None:
    node, _ = code("python")
    assert len(list(filter(None, node.splitlines()))) <= 40
    calls = [one for one in ast.walk(ast.parse(node)) if isinstance(one, ast.Call)]
    (segment,) = (one for one in calls if ast.unparse(one.func) == "self.segmenter.segment")
    parameters = Segmenter.segment.__annotations__
    assert {keyword.arg for keyword in segment.keywords} <= parameters.keys()


def test_a_loop_without_ros(
    reader: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, text = code("python")
    monkeypatch.chdir(reader(text))
    exec(text, {})  # our own example
    assert len(capsys.readouterr().out.splitlines()) == 24  # frames


def test_the_dockerfile_names_what_there_is() -> None:
    (extras,) = re.findall(r"/src\[(.*?)\]", DOCKERFILE)
    assert set(extras.split(",")) <= EXTRAS.keys()
    (arguments,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    check_usage(json.loads(arguments), list_commands())


@pytest.mark.long
def test_the_dockerfiles_steps_make_what_runs(
    source: Path, reader: Callable[[str], Path], tmp_path: Path
) -> None:
    """COPY and RUN, in an environment that has a Python and pip, and nothing else."""
    root, context = tmp_path / "root", tmp_path / "context"
    shutil.copytree(source, context, symlinks=True)
    shutil.copytree(reader("street") / "street", context / "street")
    subprocess.run([sys.executable, "-m", "venv", str(root / "env")], check=True)
    own = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    env = {**own, "PATH": f"{root}/env/bin:/usr/bin:/bin", "HOME": str(root)}
    for step, text in re.findall(r"^(COPY|RUN|ENV) (.*)$", DOCKERFILE, re.MULTILINE):
        if step == "COPY":
            place, to = text.split()
            shutil.copytree(context / place, root / to.strip("/"), symlinks=True)
        elif step == "ENV":
            key, _, value = text.partition("=")
            env[key] = f"{root}{value}"
        else:
            command = text.replace("/src", f"{root}/src")
            subprocess.run(["sh", "-ec", command], cwd=root, env=env, check=True)
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    arguments = ["run", f"{root}/street", "--source", "demo", "--frames", "3", "--no-show"]
    ran = subprocess.run(
        [*json.loads(entry), *arguments, "--preview", "127.0.0.1:0", "--save", "o.mp4"],
        cwd=root, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "3 frames" in ran.stderr
    assert (root / "o.mp4").exists()
