"""Passwords, keys and tokens in texts: they go, and the rest of the text stays."""

import io
import logging
import sys
import traceback

import pytest

from medvlp.errors import DataError
from medvlp.redaction import redact, redact_output, without_credentials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:pw@host:5000/x does not answer", "http://host:5000/x does not answer"),
        ("cannot read http://user@host/x", "cannot read http://host/x"),
        ("http://user:p%40ss%2Fword@host/x", "http://host/x"),
        ("http://user:p@ss/wo@rd@host/x", "http://host/x"),
        ("http://:pw@host/x", "http://host/x"),
        ("postgresql+psycopg://user:pw@host:5432/db?sslmode=require", "postgresql+psycopg://host:5432/db?sslmode=require"),
        ("postgresql://host/db?user=me&password=pw&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ('{"uri":"http://user:pw@host/x","mail":"a@b"}', '{"uri":"http://host/x","mail":"a@b"}'),
        (
            "https://s3/b/k?X-Amz-Credential=id&X-Amz-Signature=ab12&X-Amz-Date=4",
            "https://s3/b/k?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Date=4",
        ),
        ("https://s3/b/k?AWSAccessKeyId=id&Signature=a%2Fb&Expires=4", "https://s3/b/k?AWSAccessKeyId=***&Signature=***&Expires=4"),
        ("{'Authorization': 'Basic dXNlcjpwdw==', 'Host': 'x'}", "{'Authorization': 'Basic ***', 'Host': 'x'}"),
        ("MLFLOW_TRACKING_PASSWORD=pw python jobs/pretrain.py", "MLFLOW_TRACKING_PASSWORD=*** python jobs/pretrain.py"),
        ("{'aws_secret_access_key': 'pw', 'region': 'x'}", "{'aws_secret_access_key': '***', 'region': 'x'}"),
    ],
)
def test_secrets_are_hidden_and_the_rest_stays(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/a@b",
        "s3://bucket/a:b@c/d",
        "sqlite:////a/b.db",
        "data.maximum_tokens: was 64, now 32; tokenizer=/a/tokenizer",
        "mail a@b.c, see https://host/x",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "variable",
    ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN", "RAY_AUTH_TOKEN"],
)
def test_values_of_secret_variables_are_hidden_anywhere(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "s3cr/t")
    assert redact("the server at host says: 's3cr/t' is wrong") == "the server at host says: '***' is wrong"


def test_passwords_of_known_addresses_are_hidden_anywhere_in_both_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_STORE", "http://user:p%40ss1@host")
    monkeypatch.setattr(sys, "argv", ["job", "--tracking.uri", "http://user:in+argv1@host"])
    assert redact("p@ss1, p%40ss1 and in+argv1 of host") == "***, *** and *** of host"


def test_a_password_that_is_a_common_word_does_not_spoil_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "mlflow")
    monkeypatch.setenv("PWD", "/home/me/runs")
    assert redact("/home/me/runs/mlflow.db") == "/home/me/runs/mlflow.db"


def test_what_is_stored_of_an_address_depends_on_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "postgres-data")
    assert without_credentials("http://user:secret@host:5000/postgres-data") == "http://host:5000/postgres-data"


def test_errors_hide_secrets_before_anybody_prints_them() -> None:
    assert str(DataError("cannot read http://user:pw@host/x")) == "cannot read http://host/x"


def test_output_of_any_library_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "stdout", stream)
    redact_output()
    redact_output()
    print("print: http://user:pw@host-1/x")
    handler = logging.StreamHandler()
    logger = logging.getLogger("third_party")
    logger.addHandler(handler)
    try:
        try:
            raise ConnectionError("cause: http://user:pw@host-2/x")
        except ConnectionError as error:
            traceback.print_exc()
            logger.exception("log: %s", "http://user:pw@host-3/x")
            sys.excepthook(type(error), error, error.__traceback__)
    finally:
        logger.removeHandler(handler)
    text = stream.getvalue()
    assert "pw@" not in text
    assert "user" not in text
    assert "print: http://host-1/x" in text
    assert text.count("ConnectionError: cause: http://host-2/x") == 3
    assert "log: http://host-3/x" in text
