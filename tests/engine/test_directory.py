"""The data directory: one engine, one mode, one pair; clear words when it cannot be used."""

import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gridbot.engine.directory import (
    DataDirectory,
    DirectoryError,
    DirectoryInUse,
    DirectoryMismatch,
    free_space_state,
)
from gridbot.engine.disk import Disk
from tests.engine.faulty_disk import NO_SPACE, FaultyDisk, Killed


def open_directory(
    path: Path, mode: str = "paper", pair: str = "XBTUSD", disk: Disk | None = None, name="ab12"
) -> DataDirectory:
    draw = lambda: name  # noqa: E731
    return DataDirectory.open(path, mode, pair, disk or Disk(), draw_instance=draw, now=1e9)


def test_a_new_directory_is_private_and_gets_an_identity(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    directory = open_directory(path)
    identity = directory.identity
    assert (identity.mode, identity.pair, identity.instance) == ("paper", "XBTUSD", "ab12")
    assert identity.created_at == 1e9
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
    assert modes == {0o600}


def test_the_instance_is_drawn_once(tmp_path: Path) -> None:
    open_directory(tmp_path).close()
    assert open_directory(tmp_path, name="zz99").identity.instance == "ab12"


def test_an_instance_that_is_no_client_id_prefix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="instance was 'AB-1'"):
        open_directory(tmp_path, name="AB-1")


@pytest.mark.parametrize(("mode", "pair"), [("live", "XBTUSD"), ("paper", "ETHUSD")])
def test_another_mode_or_pair_is_refused(tmp_path: Path, mode: str, pair: str) -> None:
    open_directory(tmp_path).close()
    line = f"belongs to paper XBTUSD for life, not to {mode} {pair}"
    with pytest.raises(DirectoryMismatch, match=line):
        open_directory(tmp_path, mode, pair)
    open_directory(tmp_path).close()


def test_a_second_engine_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    first = open_directory(tmp_path)
    since = rf"process {os.getpid()} since 2001-09-09 01:46:40 UTC"
    with pytest.raises(DirectoryInUse, match=since):
        open_directory(tmp_path)
    first.close()
    first.close()
    open_directory(tmp_path).close()


def test_a_directory_locked_by_another_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gridbot.engine.disk import Disk\n"
        "from gridbot.engine.directory import DataDirectory\n"
        "held = DataDirectory.open(Path(sys.argv[1]), 'paper', 'XBTUSD', Disk(),\n"
        "    draw_instance=lambda: 'ab12', now=0.0)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).resolve().parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(DirectoryInUse, match=f"process {other.pid} since 1970"):
            open_directory(tmp_path)
        assert DataDirectory.inspect(tmp_path).pid == other.pid
        other.kill()
    assert not DataDirectory.inspect(tmp_path).running
    open_directory(tmp_path).close()


def test_inspecting_tells_who_runs_and_disturbs_nobody(tmp_path: Path) -> None:
    view = DataDirectory.inspect(tmp_path)
    assert (view.identity, view.running, view.pid) == (None, False, None)
    assert list(tmp_path.iterdir()) == []
    directory = open_directory(tmp_path)
    view = DataDirectory.inspect(tmp_path)
    assert (view.identity, view.running, view.pid) == (directory.identity, True, os.getpid())
    directory.close()
    view = DataDirectory.inspect(tmp_path)
    assert (view.running, view.pid) == (False, None)
    with pytest.raises(DirectoryError, match="no data directory there"):
        DataDirectory.inspect(tmp_path / "nowhere")


def test_a_file_in_the_place_of_the_directory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        with pytest.raises(DirectoryError, match=rf"{path}: a file stands in its place or above"):
            open_directory(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DirectoryError, match=r"cannot lock it: Permission denied"):
            open_directory(tmp_path)
        with pytest.raises(DirectoryError, match=r"cannot make the directory: Permission denied"):
            open_directory(tmp_path / "data")
    finally:
        tmp_path.chmod(0o700)


def test_a_lock_that_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(DirectoryError, match=rf"{tmp_path}: cannot lock it: Is a directory"):
        open_directory(tmp_path)


def test_a_full_disk_is_named_and_leaves_the_directory_free(tmp_path: Path) -> None:
    full = FaultyDisk(write_error=(1, NO_SPACE))
    with pytest.raises(DirectoryError, match=r"identity.json.tmp: .*No space left on device"):
        open_directory(tmp_path, disk=full)
    open_directory(tmp_path).close()


def test_killed_at_any_operation_the_directory_opens_again(tmp_path: Path) -> None:
    for kill in range(1, 10):
        path = tmp_path / str(kill)
        disk = FaultyDisk(kill_before=kill)
        with suppress(Killed):
            open_directory(path, disk=disk).close()
        open_directory(path).close()
        assert DataDirectory.inspect(path).identity is not None
    assert not disk.dead


def test_a_newer_or_damaged_identity_is_refused(tmp_path: Path) -> None:
    open_directory(tmp_path).close()
    file = tmp_path / "identity.json"
    text = file.read_text()
    file.write_text(text.replace('"version": 1', '"version": 2'))
    newer = r"written by a newer gridbot \(version 2, this one knows 1\)"
    with pytest.raises(DirectoryError, match=newer):
        open_directory(tmp_path)
    file.write_text(text[:-9])
    with pytest.raises(DirectoryError, match=rf"{file}: damaged: "):
        open_directory(tmp_path)


def test_a_lost_identity_beside_a_journal_is_not_drawn_anew(tmp_path: Path) -> None:
    open_directory(tmp_path).close()
    (tmp_path / "identity.json").unlink()
    (tmp_path / "journal-000000000001.jsonl").write_text("")
    with pytest.raises(DirectoryError, match="missing although there is a journal"):
        open_directory(tmp_path)


@pytest.mark.parametrize(
    ("free", "state"),
    [(499_999_999, "low"), (500_000_000, "ok"), (99_999_999, "critical"), (100_000_000, "low")],
)
def test_little_room_is_told(tmp_path: Path, free: int, state: str) -> None:
    assert free_space_state(FaultyDisk(free=free), tmp_path) == state


def test_real_free_space_is_measured(tmp_path: Path) -> None:
    assert Disk().free_bytes(tmp_path) > 0


def test_a_directory_one_may_not_write_in_is_refused_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(DirectoryError, match="no permission to write there"):
        open_directory(tmp_path / "data")
    assert not list((tmp_path / "data").iterdir())
