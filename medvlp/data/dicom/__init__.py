"""DICOM files as JPEG files of their pixels: no part of a header is ever copied."""

from medvlp.data.dicom.burned_in import BurnedIn, burned_in_rule
from medvlp.data.dicom.file import is_dicom
from medvlp.data.dicom.picture import dicom_pixels, dicom_to_jpeg

__all__ = ["BurnedIn", "burned_in_rule", "dicom_pixels", "dicom_to_jpeg", "is_dicom"]
