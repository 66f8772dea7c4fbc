"""One shard: a range of a corpus's items as the bytes of a tar file, the same bytes every time."""

import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

from PIL import Image
from webdataset import TarWriter

from medvlp.corpora.corpus import Corpus
from medvlp.data.sample import Dropped, Sample

MAXIMUM_PIXELS = 80_000_000
_EXTENSIONS = {"JPEG": "jpg", "PNG": "png"}


@dataclass(frozen=True)
class ShardRange:
    """The items [start, stop) of a split; the key of an item is ``first_key`` plus its place in the range."""

    split: str
    start: int
    stop: int
    first_key: int


def pack_shard(corpus: Corpus, items: ShardRange) -> tuple[bytes, dict[str, Any]]:
    """Write the samples of a range as a tar file.

    Every image is really decoded once. An item whose image does not decode, or that the corpus's own rules leave out,
    is counted by reason; its key stays unused, so that a shard depends on its own items only.

    Returns:
        The tar file, and the counts for its ``ShardRecord``.
    """
    dropped: Counter[str] = Counter()
    modalities: Counter[str] = Counter()
    texts = 0
    buffer = io.BytesIO()
    with TarWriter(buffer, user="medvlp", group="medvlp", encoder=False, mtime=0.0) as tar:
        for offset, index in enumerate(range(items.start, items.stop)):
            try:
                sample = corpus.sample(items.split, index)
                extension = image_extension(sample.image)
            except Dropped as reason:
                dropped[reason.reason] += 1
                continue
            _write_sample(tar, items.first_key + offset, sample, extension)
            modalities[sample.modality] += 1
            texts += len(sample.texts)
    counts = {
        "split": items.split,
        "first_key": items.first_key,
        "rows": modalities.total(),
        "texts": texts,
        "dropped": dict(sorted(dropped.items())),
        "modalities": dict(sorted(modalities.items())),
    }
    return buffer.getvalue(), counts


def image_extension(encoded: bytes) -> str:
    """The file extension of an encoded image that decodes: "jpg" or "png".

    Raises:
        Dropped: it does not decode, is of another format, or is too large to be an honest picture.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            extension = _EXTENSIONS.get(image.format or "")
            if extension is None:
                raise Dropped(f"image is {image.format}, neither JPEG nor PNG")
            if image.width * image.height > MAXIMUM_PIXELS:
                raise Dropped(f"image has more than {MAXIMUM_PIXELS // 10**6} million pixels")
            image.load()
    except Dropped:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error … on damaged files
        raise Dropped("image does not decode") from error
    return extension


def _write_sample(tar: TarWriter, key: int, sample: Sample, extension: str) -> None:
    name = f"{key:09d}"
    tar.write({"__key__": name, extension: sample.image})  # apart: the writer sorts members, and the image comes first
    tar.write({"__key__": name, "json": sample.metadata()})
