"""The page of ``make verify`` says what was seen, failures too."""

from tests.verified import Seen, page, run


def test_the_page_has_a_row_for_every_check() -> None:
    seen = [Seen("a", "make a", True, 3.4, ["12 passed in 9 s"]), Seen("b", "make b", False, 0.2, [], ["a.dcm: 5x5"])]
    text = page(seen, "abc1234", "2026-11-27")
    assert "commit `abc1234` on 2026-11-27" in text
    assert "| a | `make a` | passed; 12 passed in 9 s | 3 |" in text
    assert "| b | `make b` | **failed** | 0 |" in text
    assert text.endswith("## B\n\n- a.dcm: 5x5\n")


def test_a_check_is_run_as_typed_and_its_figures_are_kept() -> None:
    seen = run(
        "echo", "echo 'noise'; echo '3 passed, 1 failed in 2 s'; echo 'answers, accuracy   0.912   0.341'; echo 'a.dcm: 5x5, 0 to 9'; false"
    )
    assert not seen.passed
    assert seen.lines == ["3 passed, 1 failed in 2 s", "answers, accuracy 0.912 0.341"]
    assert seen.listed == ["a.dcm: 5x5, 0 to 9"]
