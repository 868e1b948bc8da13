"""Who may use the server: the token, the Host and Origin headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from ui_fixtures import steered_reader

from index import Library
from rag import Engine
from ui.guard import SECURITY_HEADERS, Access
from ui.server import create_app
from ui.settings import Settings, SettingsError, load_settings

TOKEN = "correct horse battery staple"
THERE = "http://192.0.2.7:7860"

DOORS = [
    ("GET", "/"),
    ("GET", "/theme.css"),
    ("GET", "/gradio_api/info"),
    ("POST", "/gradio_api/upload"),
    ("GET", "/page/documents"),
    ("POST", "/page/documents"),
    ("GET", "/api/v1/documents"),
    ("POST", "/api/v1/ask"),
    ("POST", "/api/v1/documents"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/docs"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/nowhere"),
]


def serving(library: Library, address: str, **settings: Any) -> TestClient:
    app = create_app(library, Engine(library, reader=steered_reader()), Settings(**settings))
    return TestClient(app, address, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server that other machines reach."""
    from index.embedding import FakeEmbedder

    with (
        Library.open(tmp_path_factory.mktemp("guarded"), embedder=FakeEmbedder()) as library,
        serving(library, THERE, host="0.0.0.0", token=TOKEN, hosts="quoth.example") as opened,
    ):
        yield opened


# The token


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "quoth.example"])
def test_no_other_address_without_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match=r"QUOTH_TOKEN.*--token-file"):
        Access.of(Settings(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    assert Access.of(Settings(host=host)).token == b""


def test_a_file_can_hold_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert Access.of(Settings(host="0.0.0.0", token_file=file)).is_token(TOKEN)
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        Access.of(Settings(host="0.0.0.0", token_file=file))
    with pytest.raises(SettingsError, match="cannot read"):
        Access.of(Settings(host="0.0.0.0", token_file=tmp_path / "none"))


def test_a_setting_never_shows_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUOTH_TOKEN", TOKEN)
    assert TOKEN not in repr(load_settings())


@pytest.mark.parametrize(("method", "path"), DOORS)
@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic " + TOKEN, "Bearer", f"Bearer {TOKEN}x"])
def test_every_door_is_locked(client: TestClient, method: str, path: str, given: str | None) -> None:
    headers = {"Authorization": given} if given else {}
    response = client.request(method, path, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert {name: response.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


@pytest.mark.parametrize("path", ["/", "/api/v1/documents", "/metrics", "/healthz", "/page/documents"])
def test_the_token_opens_every_door(client: TestClient, path: str) -> None:
    assert client.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_page_asks_for_the_token_once(client: TestClient) -> None:
    asks = client.get("/?doc=a%22b", headers={"Accept": "text/html"})
    assert asks.status_code == 401
    assert 'value="/?doc=a%22b"' in asks.text
    wrong = client.post("/login", data={"token": "wrong", "next": "/?doc=a"})
    assert (wrong.status_code, "That is not the token." in wrong.text) == (401, True)
    try:
        right = client.post("/login", data={"token": TOKEN, "next": "/?doc=a"}, follow_redirects=False)
        assert (right.status_code, right.headers["location"]) == (303, "/?doc=a")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/page/documents").status_code == 200
    finally:
        client.cookies.clear()
    assert client.get("/page/documents").status_code == 401


@pytest.mark.parametrize("wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/\x01"])
def test_the_token_leads_nowhere_else(client: TestClient, wanted: str) -> None:
    response = client.post("/login", data={"token": TOKEN, "next": wanted}, follow_redirects=False)
    client.cookies.clear()
    assert response.headers["location"] == "/"


def test_a_forged_session_opens_nothing(client: TestClient) -> None:
    for cookie in ("quoth_session=forged", "quoth_session=", "quoth_session=\xff", "a=b; ;;="):
        assert client.get("/metrics", headers={"Cookie": cookie.encode("latin-1")}).status_code == 401


def test_what_asks_for_the_token_runs_nothing(client: TestClient) -> None:
    asks = client.get('/"><script>alert(1)</script>?a="><b>', headers={"Accept": "text/html"})
    assert "<script" not in asks.text
    assert "<b>" not in asks.text


def test_a_large_login_is_refused(client: TestClient) -> None:
    response = client.post("/login", data={"token": TOKEN, "x": "x" * 10_000})
    assert response.status_code == 401


# Host and Origin


@pytest.mark.parametrize("host", ["192.0.2.7:7860", "[2001:db8::1]:7860", "localhost", "quoth.example:80"])
def test_the_names_of_this_server(client: TestClient, host: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": host, "Origin": f"http://{host}"}
    assert client.get("/api/v1/documents", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "quoth.example.evil.example", "192.0.2.7.evil.example", "", "["]
)
def test_another_name_is_refused_even_with_the_token(client: TestClient, host: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": host}
    assert client.get("/api/v1/documents", headers=headers).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://192.0.2.7:3000", "http://["])
def test_another_site_is_refused_even_with_the_token(client: TestClient, origin: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": origin}
    for method, path in (("POST", "/api/v1/ask"), ("DELETE", "/api/v1/documents/x"), ("POST", "/login")):
        response = client.request(method, path, headers=headers)
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers


def test_an_origin_that_is_named_may(library: Library) -> None:
    site = "https://notes.example"
    with serving(library, "http://127.0.0.1:7860", origins=site) as client:
        asked = {"Origin": site, "Access-Control-Request-Method": "PATCH"}
        preflight = client.options("/api/v1/documents/x", headers=asked)
        assert preflight.headers["access-control-allow-origin"] == site
        allowed = client.get("/api/v1/documents", headers={"Origin": site})
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, site)
        assert client.get("/api/v1/documents", headers={"Origin": "https://other.example"}).status_code == 403
