"""The snapshot: old or new whatever happens, and damage is noticed and survived."""

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.canonical import canonical_json, sha256_of
from gridbot.core.records import Balance
from gridbot.engine.disk import Disk, DiskError
from gridbot.engine.ledger_file import LedgerMark
from gridbot.engine.snapshot import (
    Snapshot,
    SnapshotError,
    SnapshotTooNew,
    best_snapshot,
    read_snapshot,
    write_snapshot,
)
from tests.engine.faulty_disk import NO_SPACE, FaultyDisk, Killed

CORE = 3


def snapshot(seq: int = 7, core: int = CORE) -> Snapshot:
    state = {"price": "0.12", "slots": [{"id": 1, "last_fill_at": 12.5, "alias": "größe"}]}
    mark = LedgerMark(seq, "ab" * 32, 100 * seq)
    return Snapshot(core, seq, "paper", "XBTUSD", "ab12", mark, state)


def put(directory: Path, seq: int) -> None:
    write_snapshot(Disk(), directory, snapshot(seq))


plain_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
)


def test_a_snapshot_reads_back_as_it_was(tmp_path: Path) -> None:
    put(tmp_path, 7)
    assert read_snapshot(tmp_path, CORE) == snapshot(7)
    assert best_snapshot(tmp_path, CORE) == (snapshot(7), [])


def test_without_a_snapshot_there_is_none(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path, CORE) is None
    assert best_snapshot(tmp_path, CORE) == (None, [])


def test_another_name_is_another_snapshot(tmp_path: Path) -> None:
    write_snapshot(Disk(), tmp_path, snapshot(1), "mine.json")
    assert read_snapshot(tmp_path, CORE) is None
    assert read_snapshot(tmp_path, CORE, "mine.json") == snapshot(1)


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    for seq in (1, 2, 3):
        put(tmp_path, seq)
    assert read_snapshot(tmp_path, CORE) == snapshot(3)
    assert read_snapshot(tmp_path, CORE, "state.json.previous") == snapshot(2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.json", "state.json.previous"]


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    put(tmp_path, 7)
    path = tmp_path / "state.json"
    whole = path.read_bytes()
    for place in range(len(whole) - 1):
        changed = bytes([whole[place] ^ 1])
        path.write_bytes(whole[:place] + changed + whole[place + 1 :])
        with pytest.raises(SnapshotError, match=r"state.json: (damaged|written by a newer)"):
            read_snapshot(tmp_path, CORE)


def test_a_cut_snapshot_is_noticed(tmp_path: Path) -> None:
    put(tmp_path, 7)
    path = tmp_path / "state.json"
    whole = path.read_bytes().rstrip()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(SnapshotError, match=r"state.json: damaged: not JSON"):
            read_snapshot(tmp_path, CORE)


@pytest.mark.parametrize("text", ["[1]", '{"checksum": null, "state": NaN}', "{}"])
def test_other_json_is_not_a_snapshot(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(SnapshotError, match="damaged"):
        read_snapshot(tmp_path, CORE)


def test_a_whole_file_with_missing_fields_is_refused(tmp_path: Path) -> None:
    content = {"seq": 1}
    (tmp_path / "state.json").write_text(json.dumps(content | {"checksum": sha256_of(content)}))
    with pytest.raises(SnapshotError, match=r"damaged: .*missing required field"):
        read_snapshot(tmp_path, CORE)


def test_a_newer_snapshot_says_so_and_is_never_passed_over(tmp_path: Path) -> None:
    put(tmp_path, 1)
    write_snapshot(Disk(), tmp_path, snapshot(2, core=CORE + 1))
    newer = rf"state.json: written by a newer gridbot \(core {CORE + 1}, this one knows {CORE}\)"
    with pytest.raises(SnapshotTooNew, match=newer):
        best_snapshot(tmp_path, CORE)
    write_snapshot(Disk(), tmp_path, msgspec.structs.replace(snapshot(2), version=8))
    with pytest.raises(SnapshotTooNew, match=r"\(version 8, this one knows 1\)"):
        read_snapshot(tmp_path, CORE)


def test_a_damaged_snapshot_falls_back_to_the_one_before_with_a_note(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    (tmp_path / "state.json").write_bytes(b"\0" * 50)
    found, notes = best_snapshot(tmp_path, CORE)
    assert found == snapshot(1)
    assert len(notes) == 2
    assert "state.json: damaged: not JSON" in notes[0]
    assert notes[1] == f"{tmp_path}/state.json.previous: used in its place (step 1)"
    (tmp_path / "state.json.previous").write_bytes(b"")
    found, notes = best_snapshot(tmp_path, CORE)
    assert found is None
    assert notes[2] == f"{tmp_path}: no usable snapshot: replaying the whole journal"


def test_a_missing_snapshot_falls_back_to_the_one_before(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    (tmp_path / "state.json").unlink()
    found, notes = best_snapshot(tmp_path, CORE)
    assert found == snapshot(1)
    assert len(notes) == 1


def test_killed_before_any_operation_the_old_or_the_new_one_stands(tmp_path: Path) -> None:
    seen = []
    for kill in range(1, 12):
        directory = tmp_path / str(kill)
        directory.mkdir()
        put(directory, 1)
        put(directory, 2)
        disk = FaultyDisk(kill_before=kill)
        with suppress(Killed):
            write_snapshot(disk, directory, snapshot(3))
        found, notes = best_snapshot(directory, CORE)
        assert found is not None
        assert notes == []
        seen.append(found.seq)
        put(directory, 4)
        assert best_snapshot(directory, CORE) == (snapshot(4), [])
    assert seen == sorted(seen)
    assert set(seen) == {2, 3}
    assert not disk.dead


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_the_write_the_old_one_stands(tmp_path: Path, torn: bool) -> None:
    put(tmp_path, 1)
    with pytest.raises(Killed):
        write_snapshot(FaultyDisk(kill_at_write=1, torn=torn), tmp_path, snapshot(2))
    assert best_snapshot(tmp_path, CORE) == (snapshot(1), [])


def test_a_full_disk_leaves_the_old_one_and_no_rubbish(tmp_path: Path) -> None:
    put(tmp_path, 1)
    for fault in ({"write_error": (1, NO_SPACE)}, {"sync_error": (1, NO_SPACE)}):
        with pytest.raises(DiskError, match=r"state.json.tmp: cannot .*: No space left on device"):
            write_snapshot(FaultyDisk(**fault), tmp_path, snapshot(2))
        assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
        assert best_snapshot(tmp_path, CORE) == (snapshot(1), [])


def test_a_file_system_without_hard_links_keeps_the_one_before_too(tmp_path: Path) -> None:
    class NoLinks(Disk):
        def link(self, existing: Path, name: Path) -> None:
            raise DiskError("no links here")

    for seq in (1, 2):
        write_snapshot(NoLinks(), tmp_path, snapshot(seq))
    assert read_snapshot(tmp_path, CORE) == snapshot(2)
    assert read_snapshot(tmp_path, CORE, "state.json.previous") == snapshot(1)


@given(plain_json)
def test_canonical_text_survives_being_read_and_written_again(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.integers(0, 200), st.integers(), min_size=2))
def test_canonical_text_does_not_depend_on_the_order_of_keys(value: dict[int, int]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(value) == canonical_json(backwards)
    assert canonical_json(json.loads(canonical_json(value))) == canonical_json(value)


def test_canonical_text_writes_amounts_plainly() -> None:
    value = {"b": Balance(Decimal("1E+3"), Decimal("1.500")), "a": (Decimal("-0.0"), 0.1, None)}
    assert canonical_json(value) == b'{"a":["0",0.1,null],"b":{"held":"1.5","total":"1000"}}'
    assert sha256_of([Decimal("1.50")]) == sha256_of([Decimal("1.5")]) != sha256_of([1.5])


@pytest.mark.parametrize("value", [float("inf"), float("nan"), Decimal("Infinity")])
def test_canonical_text_refuses_what_is_not_finite(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON compliant|no canonical text"):
        canonical_json([value])


def test_canonical_text_refuses_what_has_no_json_form() -> None:
    with pytest.raises(TypeError):
        canonical_json({"slot": object()})


def test_a_snapshot_is_on_the_disk_before_it_takes_the_name(tmp_path: Path) -> None:
    put(tmp_path, 1)
    disk = FaultyDisk()
    write_snapshot(disk, tmp_path, snapshot(2))
    assert disk.log[2:] == [
        "write state.json.tmp",
        "sync state.json.tmp",
        "remove state.json.previous",
        "link state.json.previous",
        "replace state.json",
        "sync directory",
    ]
