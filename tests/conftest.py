"""What tests share: one Ray, one S3 server, and tiny artefacts of the main job, made once per session."""

import os
import re

# Before torch is imported: many small processes share few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

# Any other process on the same cores makes an example slow.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("shared machine")

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first: a mistake shows in seconds, and Ray starts when the rest has passed."""
    items.sort(key=lambda item: item.get_closest_marker("ray") is not None)


NOT_TO_BE_INSTALLED = re.compile(r"GPU|no real |real data|authors' code|optional extra|is installed here")
"""Reasons for a skip that ``.ci/run`` cannot remove."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a test that skips for want of something that ``.ci/run`` could have installed is a failure."""
    report = yield
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    if os.environ.get("CI") and report.skipped and not NOT_TO_BE_INSTALLED.search(reason):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI, where nothing that can be installed is missing: {reason}"
    return report


def _shared(name: str, what: str) -> Path:
    folder = REPOSITORY.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"{what} are not on this machine ({folder} is absent)")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets."""
    return _shared("data", "real data")


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of small inputs that were once handled wrongly."""
    return _shared("cases", "real data and other small inputs")


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """The folder with what the authors' code computes."""
    return _shared("reference", "outputs of the authors' code")


class SmallDisk:
    """A file system of a few megabytes that can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, left: int = 0) -> None:
        """Leave only so many bytes."""
        free = shutil.disk_usage(self.folder).free
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free - left, 1))

    def make_room(self) -> None:
        """Take away what filled it."""
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Of 32 MB, in memory."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a run that failed may still have a file open


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an S3 server on loopback, which the environment of this process and its children names."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield address
    server.stop()


@pytest.fixture(scope="session")
def s3(s3_server: str) -> str:
    """The URI of an empty bucket."""
    import boto3

    boto3.client("s3", endpoint_url=s3_server).create_bucket(Bucket="medvlp-tests")
    return "s3://medvlp-tests"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An SQLite store; making its tables takes seconds, so tests share it and use experiments of their own."""
    from scaleout.tracking.runs import open_client, resolve_tracking_uri

    uri = resolve_tracking_uri(str(tmp_path_factory.mktemp("store")))
    open_client(uri).search_experiments()
    return uri


@pytest.fixture(scope="session")
def ray_cluster(s3_server: str) -> Iterator[None]:
    """One small Ray for all tests; its workers know the S3 server."""
    from scaleout.cluster import connect

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)  # never somebody else's cluster
        with connect(num_cpus=4, object_store_bytes=500_000_000):
            yield


@pytest.fixture(scope="session")
def phantom_shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Shards of 240 training and 60 validation phantoms."""
    from medvlp.corpora.phantom import PhantomCorpus
    from scaleout.shards.prepare import prepare_shards

    output = str(tmp_path_factory.mktemp("phantom") / "shards")
    prepare_shards(PhantomCorpus(train=240, validation=60, test=0), output, samples_per_shard=60, vocabulary_size=800, run=map)
    return output


@pytest.fixture(scope="session")
def phantom_links(phantom_shards: str) -> str:
    """The links of ``phantom_shards`` to the phantom ontology."""
    from medvlp.corpora.phantom import phantom_ontology_path
    from medvlp.knowledge.linker.dictionary import DictionaryLinker
    from medvlp.knowledge.readers.registry import read_ontologies
    from scaleout.links.link import link_shards

    output = str(Path(phantom_shards).parent / "links")
    ontology = read_ontologies([phantom_ontology_path()])
    link_shards(phantom_shards, ontology, DictionaryLinker.build(ontology), output, run=map)
    return output


@pytest.fixture(scope="session")
def phantom_knowledge(phantom_shards: str, phantom_links: str) -> Path:
    """The knowledge bundle of ``phantom_links``; its vectors are 32 wide."""
    from medvlp.corpora.phantom import phantom_ontology_path
    from medvlp.knowledge.readers.registry import read_ontologies
    from medvlp.knowledge.transe import TransEConfig
    from medvlp.knowledge.vocabulary import build_bundle
    from scaleout.links.manifest import LinksManifest

    links = LinksManifest.load(phantom_links)
    bundle, _ = build_bundle(
        read_ontologies([phantom_ontology_path()]),
        links.counts,
        minimum_count=3,
        links_fingerprint=links.fingerprint,
        linker=links.linker_version,
        transe=TransEConfig(width=32, epochs=20),
    )
    folder = Path(phantom_shards).parent / "knowledge"
    bundle.save(folder)
    return folder
