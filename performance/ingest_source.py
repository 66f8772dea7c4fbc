"""The input of both sides of ``performance/ingest.py``: shards of enlarged phantoms, their links, and the collate."""

from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from medvlp.corpora.phantom import PhantomCorpus, phantom_ontology_path
from medvlp.data.collate import PretrainCollate
from medvlp.data.image import ImageConfig
from medvlp.data.masking import MaskingConfig
from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import Sample
from medvlp.data.text import TextConfig
from medvlp.data.tokenizer import load_tokenizer
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from scaleout.links.link import link_shards
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import TOKENIZER_FOLDER, ShardManifest
from scaleout.shards.prepare import prepare_shards
from scaleout.stream.plan import PlannedCorpus, StreamPlan
from scaleout.stream.rows import CorpusFolders, PlannedSplit, RowReader


@dataclass(frozen=True)
class EnlargedPhantoms(PhantomCorpus):
    """Phantoms enlarged from 128 px, with a little noise: drawing them at full size would take minutes."""

    enlarged: int = 288
    """Side of the images, pixels."""
    name: str = field(default="enlarged-phantoms", init=False)

    def _make(self, split: str, index: int) -> Sample:
        phantom, shape = super()._make(split, index), (self.enlarged, self.enlarged)
        pixels = np.asarray(Image.open(BytesIO(phantom.image)).convert("RGB").resize(shape, Image.Resampling.BICUBIC))
        noise = keyed_generator(self.seed, Purpose.CORPUS, self.name, index).normal(scale=4.0, size=(*shape, 1))
        buffer = BytesIO()
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        return replace(phantom, image=buffer.getvalue())


@dataclass(frozen=True, kw_only=True)
class Source:
    """The input of both sides and its collate. Picklable: every run is a separate process."""

    folder: str
    entity_ids: dict[str, int]
    image_size: int
    micro_batch: int
    cores: int

    @property
    def shards(self) -> str:
        """Folder of the shards."""
        return str(Path(self.folder, "shards"))

    @property
    def links(self) -> str:
        """Folder of the links."""
        return str(Path(self.folder, "links"))

    def collate(self) -> PretrainCollate:
        """Return the production collate, with the sizes of the paper."""
        return PretrainCollate(
            tokenizer=load_tokenizer(Path(self.shards, TOKENIZER_FOLDER)),
            image=ImageConfig(size=self.image_size),
            text=TextConfig(),
            seed=0,
            augment=True,
            masking=MaskingConfig(),
            negatives="same_modality",
        )

    def split(self) -> PlannedSplit:
        """Return the production plan and row reader."""
        corpus = PlannedCorpus.of_split(ShardManifest.load(self.shards), LinksManifest.load(self.links), "train")
        reader = RowReader(corpora=(CorpusFolders(shards=self.shards, links=self.links),), seed=0, entity_ids=self.entity_ids)
        return PlannedSplit(StreamPlan(corpora=(corpus,), seed=0, window_shards=4), reader)


def prepare(
    folder: Path, *, samples: int = 4000, samples_per_shard: int = 250, size: int, image_size: int, micro_batch: int, cores: int
) -> Source:
    """Write the shards and links, unless they exist."""
    ontology = read_ontologies([phantom_ontology_path()])
    entity_ids = {concept.id: index for index, concept in enumerate(ontology.concepts)}
    source = Source(folder=str(folder), entity_ids=entity_ids, image_size=image_size, micro_batch=micro_batch, cores=cores)
    corpus, options = EnlargedPhantoms(train=samples, validation=0, test=0, enlarged=size), {"samples": samples, "size": size}
    prepare_shards(corpus, source.shards, samples_per_shard=samples_per_shard, vocabulary_size=1024, options=options, run=map)
    link_shards(source.shards, ontology, DictionaryLinker.build(ontology), source.links, run=map)
    return source
