"""Log lines: their form, their numbers, rotation, followers; with the writer alone and from a container."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nodeworker.runtime.log_writer import PART, LogWriter
from nodeworker.runtime.logs import LogLine, attempts, read_log
from nodeworker.runtime.specs import LogLimits
from tests.runtime.conftest import Box


def written(directory: Path, chunks: list[bytes], max_bytes: int = 1 << 20, max_files: int = 5) -> list[LogLine]:
    writer = LogWriter(directory, 0, max_bytes, max_files)
    for chunk in chunks:
        writer.write("stdout", chunk)
    writer.close()
    return list(read_log(directory, 0))


def test_lines_are_in_the_form_of_the_cri(tmp_path: Path) -> None:
    written(tmp_path, [b"hello\nwor", b"ld\nend"])
    text = next(tmp_path.glob("*.log")).read_text()
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F (hello|world|end)")
    assert all(form.fullmatch(line) for line in text.splitlines())
    assert len(text.splitlines()) == 3


def test_long_lines_are_split_into_parts(tmp_path: Path) -> None:
    lines = written(tmp_path, [b"x" * (PART * 2 + 5) + b"\n"])
    assert [(line.n, line.partial, len(line.text)) for line in lines] == [
        (1, True, PART),
        (2, True, PART),
        (3, False, 5),
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40000), max_size=12))
def test_whatever_is_written_is_read_again(chunks: list[bytes]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        lines = written(Path(name), chunks, max_bytes=1 << 30)
    text = b"".join(line.text + (b"" if line.partial else b"\n") for line in lines)
    whole = b"".join(chunks)
    assert text == whole + (b"\n" if whole and not whole.endswith(b"\n") else b"")
    assert [line.n for line in lines] == list(range(1, len(lines) + 1))


def test_rotation_keeps_the_newest_files_and_the_numbers(tmp_path: Path) -> None:
    lines = written(tmp_path, [b"%d\n" % number for number in range(1, 1001)], max_bytes=4096, max_files=3)
    assert len(list(tmp_path.glob("*.log"))) == 3
    assert lines[-1].text == b"1000" and lines[-1].n == 1000
    assert all(line.text == b"%d" % line.n for line in lines)
    assert lines[0].n > 1


def test_tail_and_from_line_and_since(tmp_path: Path) -> None:
    lines = written(tmp_path, [b"%d\n" % number for number in range(1, 301)], max_bytes=4096, max_files=9)
    assert [line.n for line in read_log(tmp_path, 0, tail=3)] == [298, 299, 300]
    assert [line.n for line in read_log(tmp_path, 0, tail=0)] == []
    assert next(iter(read_log(tmp_path, 0, from_line=150))).n == 150
    assert len(list(read_log(tmp_path, 0, tail=200))) == 200
    assert list(read_log(tmp_path, 0, since=4e9)) == []
    assert list(read_log(tmp_path, 0, since=0.0)) == lines
    assert attempts(tmp_path) == [0]


def test_a_follower_sees_every_line_across_rotation(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 0, 4096, 50)
    seen: list[int] = []
    half = threading.Event()

    def follow() -> None:
        for line in read_log(tmp_path, 0, follow=True):
            seen.append(line.n)
            if line.n == 200:
                half.set()

    reader = threading.Thread(target=follow)
    reader.start()
    for number in range(200):
        writer.write("stdout", b"%d\n" % number)
    assert half.wait(20)
    for number in range(1800):
        writer.write("stderr", b"%d\n" % number)
    writer.close()
    reader.join(20)
    assert not reader.is_alive()
    assert seen == list(range(1, 2001))


def test_a_follower_can_be_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert list(read_log(tmp_path / "none", 0, follow=True, stop=stop)) == []


def test_a_full_disk_never_raises(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path, 0, 4096, 2)
    import os

    os.close(writer._descriptor)
    writer._descriptor = os.open("/dev/full", os.O_WRONLY)
    writer.write("stdout", b"lost\n")
    writer.close()


def test_both_streams_of_a_container_arrive_in_one_numbered_log(box: Box) -> None:
    pod = box.pod()
    box.run("sh", "-c", "for i in 1 2 3; do echo out$i; echo err$i >&2; done", pod=pod)
    lines = box.lines(pod)
    assert [line.n for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line.text for line in lines if line.stream == "stderr"] == [b"err1", b"err2", b"err3"]


def test_a_flood_is_rotated_and_does_not_stop_the_container(box: Box) -> None:
    pod = box.pod()
    ended, _said = box.run("seq", "1", "200000", pod=pod, log=LogLimits(64 * 1024, 3))
    directory = box.runtime.log_directory(pod, "main")
    assert ended.exit_code == 0
    assert sum(path.stat().st_size for path in directory.glob("*.log")) < 2_000_000
    assert box.lines(pod)[-1].n == 200000 and box.lines(pod)[-1].text == b"200000"


def test_a_giant_line_takes_no_memory(box: Box) -> None:
    pod = box.pod()
    ended, _said = box.run("dd", "if=/dev/zero", "bs=1M", "count=64", pod=pod, log=LogLimits(1 << 20, 2))
    found = box.runtime.pod(pod)
    assert found is not None and ended.exit_code == 0
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{found.shim_pid}/status").read_text())
    assert peak is not None and int(peak[1]) < 40_000
