"""The table of faults: rows are recorded once, and replaced in the document."""

from pathlib import Path

import pytest

from tests.faults import BEGIN, END, FAULTS_VARIABLE, REPORT, Fault, put_into, read_faults, record, table

ROW = Fault(fault="kill -9", setting="here", outcome="continues", lost_steps=1, recovery_seconds=2.04)


def test_a_row_of_the_same_fault_and_setting_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "faults.json"
    monkeypatch.setenv(FAULTS_VARIABLE, str(path))
    for outcome in ("stops", "continues"):
        record(Fault(fault="kill -9", setting="here", outcome=outcome, lost_steps=1, recovery_seconds=2.04))
    record(Fault(fault="nothing", setting="here", outcome="nothing", lost_steps=0, recovery_seconds=None))
    assert [row.fault for row in read_faults(path)] == ["kill -9", "nothing"]
    assert read_faults(path)[0] == ROW


def test_the_document_has_a_place_for_the_table() -> None:
    report = put_into(REPORT.read_text(), [ROW])
    assert report.count(BEGIN) == report.count(END) == 1
    assert "| kill -9 | here | continues | 1 | 2.0 s |" in report
    assert put_into(report, [ROW]) == report
    assert table([ROW]) in report
