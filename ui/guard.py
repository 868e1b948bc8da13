"""Who may use the server: requests under its own name, from its own page, with its token if it has one."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.presence import INSTANCE, INSTANCE_HEADER
from ui.problems import problem_response
from ui.settings import LOOPBACK, Settings, SettingsError, token

COOKIE = "quoth_session"
LOGIN = "/login"
MAX_LOGIN_BYTES = 4_096
LOGIN_SECONDS = 10

FOREIGN = "Quoth answers only under its own address, and to its own page."
NO_TOKEN = "This server needs its token: send the header Authorization: Bearer TOKEN."

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio's custom components are evaluated
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "object-src 'none'",
    )
)

SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with none, a form's Origin would be "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class Access:
    """What a request has to bring."""

    host: str  # address that the server listens on
    hosts: frozenset[str]  # further names that it is reached by
    origins: frozenset[str]  # of other sites whose pages may use it
    token: bytes  # empty when none is needed

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """Raises SettingsError when an address other than loopback comes without a token."""
        secret = token(settings).encode()
        if not secret and settings.host not in LOOPBACK:
            raise SettingsError(
                f"{settings.host} can be reached from other machines, so Quoth needs a token: set "
                f"QUOTH_TOKEN, or name a file that holds one with --token-file"
            )
        hosts = frozenset(name.lower() for name in settings.hosts)
        return cls(settings.host, hosts, frozenset(settings.origins), secret)

    def is_ours(self, headers: Headers) -> bool:
        """Whether it was sent to a name of this server (else a site rebinds its own name to this address),
        and by a page of it, of a named origin, or by no page."""
        host = headers.get("host", "")
        senders = set(headers.getlist("origin")) - self.origins
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return self._is_known(name) and all(urlsplit(sender).netloc == host for sender in senders)
        except ValueError:
            return False

    def _is_known(self, name: str) -> bool:
        if name in self.hosts or (self.host in LOOPBACK and name in LOOPBACK):
            return True
        return self.host not in LOOPBACK and (name in (self.host, "localhost") or _is_address(name))

    def has_token(self, headers: Headers) -> bool:
        """Whether it brings the token, in the header or as the page's session."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return True
        return any(_same(session, self.session) for session in _sessions(headers))

    def is_token(self, given: str) -> bool:
        """Compared in constant time."""
        return _same(given, self.token.decode())

    @property
    def session(self) -> str:
        """What the browser keeps instead of the token."""
        return hmac.new(self.token, b"quoth page session", sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _is_address(name: str) -> bool:
    """Whether it is an IP address, which no other site can make mean this one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _sessions(headers: Headers) -> Iterable[str]:
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ()
    return (cookies[COOKIE].value,) if COOKIE in cookies else ()


class Guard:
    """Refuses what the page of another site can make a browser send here, and who does not have the token."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif refusal := await self._refusal(scope, receive):
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope, receive: Receive) -> Response | None:
        headers = Headers(scope=scope)
        if not self._access.is_ours(headers):
            return problem_response(HTTPException(HTTPStatus.FORBIDDEN, FOREIGN))
        if not self._access.token:
            return None
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", LOGIN):
            return await self._log_in(Request(scope, receive))
        if self._access.has_token(headers):
            return None
        if "text/html" in headers.get("accept", ""):
            return _login_page(_address(scope))
        challenge = {"WWW-Authenticate": "Bearer"}
        return problem_response(HTTPException(HTTPStatus.UNAUTHORIZED, NO_TOKEN, challenge))

    async def _log_in(self, request: Request) -> Response:
        form = dict(parse_qsl((await _body(request)).decode("utf-8", "replace")))
        wanted = form.get("next", "")
        wanted = wanted if _is_own(wanted) else "/"
        if not self._access.is_token(form.get("token", "")):
            return _login_page(wanted, "That is not the token.")
        response = RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
        response.set_cookie(COOKIE, self._access.session, httponly=True, samesite="strict")
        return response


async def _body(request: Request) -> bytes:
    """Empty when it is too large, or does not come in time."""
    body = b""
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(LOGIN_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_LOGIN_BYTES:
                    return b""
            return body
    return b""


def _login_page(wanted: str, fault: str = "") -> Response:
    """The page that asks for the token and then leads to the address that was wanted."""
    template = files("ui").joinpath("static", "login.html").read_text("utf-8")
    page = template.replace("{fault}", fault).replace("{next}", escape(wanted))
    return HTMLResponse(page, HTTPStatus.UNAUTHORIZED)


def _address(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return quote(scope["path"]) + (f"?{query}" if query else "")


def _is_own(address: str) -> bool:
    """Whether it leads to this server: `//elsewhere` and `/\\elsewhere` do not."""
    return address.startswith("/") and address[1:2] not in ("/", "\\") and address.isprintable()


class SecurityHeaders:
    """Adds the headers to every response, streams included (Starlette's own base class would buffer them)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS | {INSTANCE_HEADER: INSTANCE})
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
