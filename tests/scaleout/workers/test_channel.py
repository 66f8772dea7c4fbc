"""The channel: errors that a restart cannot fix, and messages in order."""

import pytest

from medvlp.errors import ConfigurationError, DataError, MedvlpError
from scaleout.workers.channel import Channel, find_user_error


def wrapped(error: Exception) -> Exception:
    """An error as a thread pool and Ray hand it on."""
    try:
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("task failed") from inner
    except RuntimeError as outer:
        task_error = ValueError("ray")
        task_error.cause = outer
        return task_error


@pytest.mark.parametrize("error", [DataError("shard lost"), ConfigurationError("no")])
def test_our_own_error_is_found_inside_others(error: MedvlpError) -> None:
    assert find_user_error(error) is error
    assert find_user_error(wrapped(error)) is error


def test_what_only_happened_before_is_found_too() -> None:
    error = KeyError("while telling it")
    error.__context__ = DataError("first")
    assert find_user_error(error) is error.__context__


def test_other_errors_are_not_ours() -> None:
    assert find_user_error(wrapped(OSError("disk"))) is None


def test_errors_in_a_circle_end() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert find_user_error(first) is None


def test_lines_are_taken_once_in_order() -> None:
    channel = Channel()
    channel.say("a"), channel.say("b")
    assert channel.take() == ["a", "b"]
    assert channel.take() == []


def test_the_first_error_stays() -> None:
    channel = Channel()
    assert channel.error() is None
    channel.fail("DataError", "first"), channel.fail("DataError", "second")
    assert channel.error() == ("DataError", "first")


@pytest.mark.ray
def test_a_failed_run_raises_what_the_worker_found(ray_cluster: None) -> None:
    import ray

    from scaleout.workers.channel import ChannelPrinter, raise_if_failed

    channel = ray.remote(num_cpus=0)(Channel).remote()
    shown: list[str] = []
    with ChannelPrinter(channel, shown.append, seconds=0.05):
        raise_if_failed(channel)
        ray.get([channel.say.remote("one"), channel.say.remote("two"), channel.finish.remote({"loss": 1.0})])
    assert shown == ["one", "two"]
    assert ray.get(channel.result.remote()) == {"loss": 1.0}
    ray.get(channel.fail.remote("DataError", "shard lost"))
    with pytest.raises(DataError, match=r"^shard lost$"):
        raise_if_failed(channel)
