"""Grey values: what is unusable in a header does not cost the picture, and each frame has its own rescaling and window."""

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medvlp.data.dicom import dicom_pixels
from tests.medvlp.data.dicom.support import RAMP, encode, image, malformed, saved

WINDOW = {"WindowCenter": 1024, "WindowWidth": 1025}


def through(window: tuple[float, float], values: np.ndarray = RAMP) -> np.ndarray:
    """Values through a LINEAR window, in DICOM's words."""
    center, width = window
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def assert_shown(content: bytes, expected: np.ndarray) -> None:
    np.testing.assert_allclose(dicom_pixels(content).astype(float), expected, atol=1)


FULL_RANGE = RAMP / RAMP.max() * 255


@pytest.mark.parametrize(
    ("center", "width", "expected"),
    [
        ("0", "0", FULL_RANGE),
        ("1024", "-1025", FULL_RANGE),
        ("", "", FULL_RANGE),
        ("1024", "", FULL_RANGE),
        ("abc", "400", FULL_RANGE),
        ("NaN", "400", FULL_RANGE),
        ("1024", "inf", FULL_RANGE),
        ("1024,0", "1025,0", through((1024, 1025))),
        ("0\\1024", "0\\1025", through((1024, 1025))),
        ("abc\\1024\\7", "5\\1025\\9", through((1024, 1025))),
        ("0\\1024", "-1\\1025,0", through((1024, 1025))),
        ("1024\\7", "1025", through((1024, 1025))),
    ],
)
def test_the_first_usable_window_is_taken_else_the_range_of_the_values(center: str, width: str, expected: np.ndarray) -> None:
    dataset = image(RAMP)
    malformed(dataset, "WindowCenter", center)
    malformed(dataset, "WindowWidth", width)
    assert_shown(saved(dataset), expected)


@pytest.mark.parametrize("function", ["", "UNKNOWN", "LINEAR", "linear", "LINEAR_EXACT", "SIGMOID"])
def test_every_voi_function_is_applied_and_an_unknown_one_is_linear(function: str) -> None:
    expected = {
        "LINEAR_EXACT": np.clip(((RAMP - 1024.0) / 1025 + 0.5) * 255, 0, 255),
        "SIGMOID": 255 / (1 + np.exp(-4 * (RAMP - 1024.0) / 1025)),
    }.get(function, through((1024, 1025)))
    dataset = image(RAMP, **WINDOW)
    malformed(dataset, "VOILUTFunction", function)
    assert_shown(saved(dataset), expected)


def test_windows_narrower_than_one_are_for_values_between_0_and_1() -> None:
    content = encode(RAMP, RescaleSlope="0.0002442", RescaleIntercept=0, WindowCenter="0.25", WindowWidth="0.5")
    assert_shown(content, np.clip(RAMP * 0.0002442 / 0.5 * 255, 0, 255))


@pytest.mark.parametrize(
    ("slope", "intercept", "values"),
    [
        ("", "", RAMP),
        ("abc", "NaN", RAMP),
        ("0", "0", RAMP),
        ("", "-1000", RAMP - 1000.0),
        ("2,0", "-100,5", RAMP * 2 - 100.5),
        ("2", "", RAMP * 2.0),
        ("-1", "2048", 2048.0 - RAMP),
    ],
)
def test_an_unusable_rescaling_changes_nothing(slope: str, intercept: str, values: np.ndarray) -> None:
    dataset = image(RAMP, **WINDOW)
    malformed(dataset, "RescaleSlope", slope)
    malformed(dataset, "RescaleIntercept", intercept)
    assert_shown(saved(dataset), through((1024, 1025), values))
    for keyword in WINDOW:
        delattr(dataset, keyword)
    assert_shown(saved(dataset), (values - values.min()) / (values.max() - values.min()) * 255)


def table(first: int, bits: int, entries: np.ndarray, data: Any = None) -> Dataset:
    """A lookup table as an item of a sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = entries.tolist() if data is None else data
    item["LUTData"].VR = "US" if data is None else "OW"
    return item


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_lookup_tables_of_any_depth_are_applied(bits: int) -> None:
    entries = np.linspace(0, 2**bits - 1, 2048).astype(np.uint16)[::-1]
    expected = entries[np.clip(RAMP.astype(int) - 1000, 0, 2047)] / (2**bits - 1) * 255
    for data in (None, entries.astype("<u2").tobytes()):
        assert_shown(encode(RAMP, VOILUTSequence=[table(1000, bits, entries, data)]), expected)
        modality = encode(RAMP, ModalityLUTSequence=[table(1000, bits, entries, data)])
        assert_shown(modality, (expected - expected.min()) / (expected.max() - expected.min()) * 255)


def test_a_table_of_bytes_and_a_table_of_65536_entries() -> None:
    entries = np.arange(256, dtype=np.uint8)[::-1]
    assert_shown(encode((RAMP // 16), VOILUTSequence=[table(0, 8, entries, entries.tobytes())]), 255 - RAMP // 16)
    entries = np.arange(2**16, dtype=np.uint16)
    assert_shown(encode(RAMP, VOILUTSequence=[table(0, 16, entries, entries.tobytes())]), RAMP / 65535 * 255)


def test_a_broken_table_leaves_the_next_table_or_the_window() -> None:
    good, short, bare = table(0, 8, np.full(4096, 51, dtype=np.uint16)), table(0, 8, np.arange(4)), Dataset()
    short.LUTDescriptor = [4096, 0, 8]
    assert_shown(encode(RAMP, VOILUTSequence=[short, bare], **WINDOW), through((1024, 1025)))
    assert_shown(encode(RAMP, VOILUTSequence=[bare, short, good], **WINDOW), np.full(RAMP.shape, 51))
    assert_shown(encode(RAMP, ModalityLUTSequence=[bare], **WINDOW), through((1024, 1025)))


def item(**fields: Any) -> Dataset:
    dataset = Dataset()
    for name, value in fields.items():
        setattr(dataset, name, value)
    return dataset


def group(window: tuple[Any, Any] | None = None, slope: float | None = None) -> Dataset:
    """A functional group with a window and a rescaling."""
    fields: dict[str, Any] = {}
    if window:
        fields["FrameVOILUTSequence"] = [item(WindowCenter=window[0], WindowWidth=window[1])]
    if slope is not None:
        fields["PixelValueTransformationSequence"] = [item(RescaleSlope=slope, RescaleIntercept=-1024, RescaleType="HU")]
    return item(**fields)


FRAMES = np.stack([RAMP, RAMP[::-1], RAMP])
FAR = (9000, 10)


@pytest.mark.parametrize(
    ("shared", "per_frame", "whole"),
    [
        (group((1024, 1025), 2), [group()] * 3, {}),
        (group(slope=2), [group(FAR), group((1024, 1025)), group(FAR)], {}),
        (group((1024, 1025), 3), [group(slope=1), group(slope=2), group(slope=1)], {}),
        (group(FAR, 9), [group(FAR, 1), group((1024, 1025), 2), group(FAR, 1)], {}),
        (group(slope=2), [group((0, 0))] * 3, WINDOW),
        (group((1024, 1025)), [group()] * 3, {"RescaleSlope": 2, "RescaleIntercept": -1024}),
        (None, [group(FAR, 1), group(([0, 1024], [0, 1025]), 2)], {}),
        (None, None, WINDOW | {"RescaleSlope": 2, "RescaleIntercept": -1024}),
    ],
)
def test_a_frame_is_shown_through_its_functional_groups(shared: Dataset | None, per_frame: list[Dataset] | None, whole: dict) -> None:
    groups = {"SharedFunctionalGroupsSequence": shared and [shared], "PerFrameFunctionalGroupsSequence": per_frame}
    content = encode(FRAMES, **whole, **{name: value for name, value in groups.items() if value})
    assert_shown(content, through((1024, 1025), FRAMES[1] * 2.0 - 1024))


def test_a_voi_function_of_a_functional_group() -> None:
    shared = item(FrameVOILUTSequence=[item(WindowCenter=1024, WindowWidth=1025, VOILUTFunction="SIGMOID")])
    content = encode(RAMP, SharedFunctionalGroupsSequence=[shared])
    assert_shown(content, 255 / (1 + np.exp(-4 * (RAMP - 1024.0) / 1025)))
