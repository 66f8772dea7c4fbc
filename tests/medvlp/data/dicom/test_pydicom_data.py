"""Every test file of pydicom: a picture, or a reason for the counts."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest

from medvlp.data.dicom import dicom_pixels, dicom_to_jpeg
from medvlp.data.sample import Dropped

EXPECTED = {
    "OBXXXX1A_expb.dcm": "600x800x3, 0 to 255",
    "OT-PAL-8-face.dcm": "480x640x3, 0 to 255",
    "color-pl.dcm": "160x256x3, 1 to 255",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "DICOM file is truncated",
    "eCT_Supplemental.dcm": "512x512, 0 to 255",
    "gdcm-US-ALOKA-16_big.dcm": "480x640x3, 0 to 251",
    "liver.dcm": "DICOM object is not an image",
    "mlut_18.dcm": "512x512, 0 to 255",
}


@pytest.mark.verify
def test_every_file_is_a_picture_or_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    package = importlib.util.find_spec("data_store")
    if package is None or package.origin is None:
        pytest.skip("pydicom-data is an optional extra: pip install 'medvlp[verify]'")
    files = sorted(path for path in (Path(package.origin).parent / "data").rglob("*") if path.is_file())
    found = {path.name: outcome(path.read_bytes()) for path in files}
    with capsys.disabled():
        print("", *(f"{name}: {seen}" for name, seen in found.items()), sep="\n")
    assert len(found) > 50
    assert {name: found.get(name) for name in EXPECTED} == EXPECTED


def outcome(content: bytes) -> str:
    """Size and range of the picture, or the reason why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels = dicom_pixels(content)
            assert dicom_to_jpeg(content)
        except Dropped as drop:
            return drop.reason
    assert pixels.dtype == np.uint8
    return f"{'x'.join(map(str, pixels.shape))}, {pixels.min()} to {pixels.max()}"
