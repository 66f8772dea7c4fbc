"""Validation names whatever is not as the manifest says, on a disk and on S3; nothing half-written ever counts."""

import re
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.prepare import prepare
from medvlp.errors import DataError
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.io.record_table import RecordTable
from scaleout.io.retry import RETRY_VARIABLE
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.shards.prepare import prepare_shards
from scaleout.shards.validate import validate_shards
from tests.conftest import REPOSITORY
from tests.scaleout.shards.test_prepare import OPTIONS, Counting
from tests.scaleout.shards.toy import ToyCorpus


@pytest.fixture(params=["local", "s3"])
def shards(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Fresh shards, local and remote in turn."""
    output = str(tmp_path / "shards") if request.param == "local" else storage.join(request.getfixturevalue("s3"), uuid.uuid4().hex)
    prepare_shards(ToyCorpus(), output, run=map, **OPTIONS)
    return output


def test_whole_shards_are_whole(shards: str) -> None:
    manifest, problems = validate_shards(shards, run=map)
    assert not problems
    assert manifest.source == "toy"


def test_all_that_is_wrong_is_named(shards: str) -> None:
    content = storage.read_bytes(storage.join(shards, "train-00001.tar"))
    storage.delete(storage.join(shards, "train-00000.tar"))
    storage.write_bytes(storage.join(shards, "train-00001.tar"), content[:2000])
    storage.write_bytes(storage.join(shards, "train-00002.tar"), content)
    storage.delete(storage.join(shards, "samples", "train-00003.parquet"))
    storage.write_bytes(storage.join(shards, "train-99999.tar"), content)
    _, problems = validate_shards(shards, run=map)
    expected = (
        "train-00000.tar: no such file",
        "train-00001.tar is truncated: 2000 bytes",
        "train-00002.tar was altered",
        "train-00003.parquet: no such file",
        "train-99999.tar is not in the manifest",
    )
    assert len(problems) == len(expected)
    for part in expected:
        assert sum(part in problem for problem in problems) == 1, part


def test_samples_of_another_shard_are_not_a_shard_s_own(tmp_path: Path) -> None:
    output = tmp_path / "shards"
    manifest = prepare_shards(ToyCorpus(), str(output), run=map, **OPTIONS)
    first, second, *others = manifest.shards
    beside = {"sidecar_bytes": second.sidecar_bytes, "sidecar_sha256": second.sidecar_sha256}
    (output / "samples" / "train-00000.parquet").write_bytes((output / "samples" / "train-00001.parquet").read_bytes())
    replace(manifest, shards=RecordTable.of(ShardRecord, [replace(first, **beside), second, *others])).save(str(output))
    _, problems = validate_shards(str(output), run=map)
    assert len(problems) == 1
    assert re.search(r"the sidecar of .*train-00000\.tar does not match it; make the shards again", problems[0])


@pytest.mark.ray
def test_the_job_ends_with_an_error(tmp_path: Path, ray_cluster: None, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "shards")
    prepare_shards(ToyCorpus(), output, run=map, **OPTIONS)
    run_job(prepare, ["--validate", "--output", output])
    assert "7 shards with 35 samples match their manifest" in capsys.readouterr().out
    (tmp_path / "shards" / "validation-00000.tar").unlink()
    with pytest.raises(SystemExit):
        run_job(prepare, ["--validate", "--output", output])
    assert "validation-00000.tar: no such file" in capsys.readouterr().err


def test_a_job_without_a_corpus_says_what_to_add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_job(prepare, ["--output", str(tmp_path)])
    assert "add --corpus NAME, or --validate" in capsys.readouterr().err


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
from medvlp.errors import DataError
from scaleout.shards.prepare import prepare_shards
from tests.scaleout.shards.toy import ToyCorpus
try:
    prepare_shards(ToyCorpus(), sys.argv[1], samples_per_shard=int(sys.argv[2]), vocabulary_size=0, run=map)
except DataError as error:
    sys.exit(str(error))
"""


def test_what_does_not_fit_on_the_disk_does_not_count(tmp_path: Path) -> None:
    """A limit on the size of files, which the kernel keeps, stands for the full disk: the failing call is the same."""
    # Without -B Python would cut its own cache of a module, and every process after it would fail to import that.
    command = [sys.executable, "-B", "-c", FULL_DISK, str(tmp_path / "shards"), "10"]
    environment = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
    result = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert "train-00000.tar: cannot write" in result.stderr
    assert "File too large" in result.stderr
    left = [path.name for path in (tmp_path / "shards").rglob("*") if path.is_file()]
    assert sorted(left) == ["plan.json", "train-00000.parquet"]
    manifest = prepare_shards(ToyCorpus(), str(tmp_path / "shards"), samples_per_shard=10, vocabulary_size=0, run=map)
    assert manifest.splits == {"train": 25, "validation": 10}


def test_an_outage_of_s3_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1"), ("MAX_ATTEMPTS", "1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv(RETRY_VARIABLE, "2")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    bucket = f"outage-{uuid.uuid4().hex}"
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket=bucket)
    output = f"s3://{bucket}/shards"

    def fails_after_two(function, names):  # type: ignore[no-untyped-def]
        for number, name in enumerate(names):
            if number == 2:
                server.stop()
            yield function(name)

    with pytest.raises(DataError, match=r"train-00002\.tar: cannot write s3://.*AWS_ENDPOINT_URL"):
        prepare_shards(ToyCorpus(), output, run=fails_after_two, **OPTIONS)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        with pytest.raises(DataError, match="no complete shards"):
            ShardManifest.load(output)
        run = Counting()
        prepare_shards(ToyCorpus(), output, run=run, **OPTIONS)
        assert run.names == [f"train-{number:05d}.tar" for number in (2, 3, 4)] + ["validation-00000.tar", "validation-00001.tar"]
        assert not validate_shards(output, run=map)[1]
    finally:
        server.stop()
