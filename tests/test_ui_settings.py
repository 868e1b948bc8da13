from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.settings import Settings, SettingsError, default_text, env_name, load_settings, option_name


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(env_name(name), raising=False)


def test_the_page_stays_on_loopback_unless_told_otherwise() -> None:
    settings = load_settings()
    assert (settings.host, settings.port, settings.debug) == ("127.0.0.1", 7860, False)
    assert settings.library.is_absolute()


def test_environment_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_PORT", "8000")
    monkeypatch.setenv("QUOTH_HOST", "::1")
    assert load_settings().port == 8000
    settings = load_settings(port="9000", host=None)
    assert (settings.port, settings.host) == (9000, "::1")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(env_name(name), "")
    assert load_settings() == unset


def test_home_folder_in_the_library_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("QUOTH_LIBRARY", "~/papers")
    assert load_settings().library == tmp_path / "papers"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUOTH_PORT", "abc"),
        ("QUOTH_PORT", "65536"),
        ("QUOTH_PORT", "-1"),
        ("QUOTH_MAX_DOCUMENT_MB", "0"),
        ("QUOTH_MAX_QUESTION_CHARS", "1e9"),
        ("QUOTH_DEBUG", "perhaps"),
    ],
)
def test_a_bad_variable_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert variable in message
    assert value in message
    assert "\n" not in message


def test_a_bad_option_is_named_as_the_option_and_every_fault_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_DEBUG", "perhaps")
    with pytest.raises(SettingsError, match=r"--port is 'x'.*; QUOTH_DEBUG is 'perhaps'"):
        load_settings(port="x")


@given(st.integers())
def test_a_port_is_taken_exactly_when_it_exists(port: int) -> None:
    if 0 <= port <= 65535:
        assert load_settings(port=str(port)).port == port
    else:
        with pytest.raises(SettingsError):
            load_settings(port=str(port))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description is not None
    assert description.endswith(".")
    assert default_text(name)
    assert option_name(name).startswith("--")


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
