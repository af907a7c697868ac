from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from reports import CAMVID, failed, golden_only, pictures

from edgeseg.errors import MissingPackageError, ReportError
from edgeseg.reports.report import read_report
from edgeseg.reports.writing import check_can_write, write_reports

NAMES = ["report.html", "report.json", "report.md", "report.xml"]


def test_all_forms_are_written(tmp_path: Path) -> None:
    report = failed()
    folder = tmp_path / "new" / "reports"
    paths = write_reports(folder, report, labels=CAMVID, pictures=pictures(1))
    assert sorted(path.name for path in paths) == NAMES
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert read_report(folder / "report.json") == report
    for name in NAMES[1:]:
        assert "b0-camvid-openvino" in (folder / name).read_text("utf-8")
    assert (folder / "report.html").read_text("utf-8").count("<img ") == 5


def test_they_replace_earlier_ones(tmp_path: Path) -> None:
    write_reports(tmp_path, failed(), labels=CAMVID, pictures=[])
    write_reports(tmp_path, golden_only(), labels=CAMVID, pictures=[])
    assert read_report(tmp_path / "report.json").passed
    assert "PASSED" in (tmp_path / "report.html").read_text("utf-8")


def test_nothing_is_written_where_one_form_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match="jinja2"):
        write_reports(tmp_path / "new", golden_only(), labels=CAMVID, pictures=[])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("room", range(4))
def test_a_full_disk_leaves_the_earlier_files_whole(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is room for some files, and never for all."""
    write_reports(tmp_path, golden_only(), labels=CAMVID, pictures=[])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    written: list[int] = []

    def full(path: Path, content: bytes) -> int:
        path.touch()
        if len(written) < room:
            written.append(path.write_text(content.decode(), "utf-8"))
            return written[-1]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ReportError, match=f"{tmp_path}: No space left on device"):
        write_reports(tmp_path, failed(), labels=CAMVID, pictures=[])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_is_checked_before_anything_is_measured(tmp_path: Path) -> None:
    check_can_write(tmp_path / "deep" / "folder")
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below"):
        with pytest.raises(ReportError, match=f"cannot be written to {folder}: "):
            check_can_write(folder)
        with pytest.raises(ReportError, match=f"cannot be written to {folder}: "):
            write_reports(folder, golden_only(), labels=CAMVID, pictures=[])
    (tmp_path / "report.md").mkdir()
    with pytest.raises(ReportError, match="report.md is a folder"):
        check_can_write(tmp_path)


def test_a_missing_package_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'edgeseg\[report\]'"):
        check_can_write(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
