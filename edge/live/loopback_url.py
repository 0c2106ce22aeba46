"""URLs that stay on this machine: http to localhost, 127.x.x.x or [::1], with placeholders in path and query."""

import ipaddress
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import InputError
from edge.live.template import Template, parse_template

# One expression instead of a URL library: where two parsers disagree about the host, requests leave the machine.
_URL = re.compile(
    r"http://(?P<host>localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::(?P<port>\d{1,5}))?(?P<path>/[^?]*)?(?:\?(?P<query>.*))?"
)
_UNSENDABLE = re.compile(r"[^!-~]|#")
_UNRESERVED = (string.ascii_letters + string.digits + "-._~").encode()
_HINT = "write http://127.0.0.1:PORT/PATH, with placeholders only in the path and after the question mark"


@dataclass(frozen=True, slots=True)
class LoopbackUrl:
    """`origin` is http://host:port as it was written; `addresses` are tried in turn."""

    origin: str
    addresses: tuple[str, ...]
    port: int
    path: Template
    query: tuple[Template, ...]

    def target(self, values: Mapping[str, str]) -> str:
        """Path and query with percent-encoded values; a query field that lacks its argument is left out.

        Raises InputError for values that would lead to another folder of the server.
        """
        if not all(values[name] for name in self.path.names):
            raise InputError(f"An empty value cannot stand in {self.path.source}.", "give a value")
        # a server may decode %2F before it resolves "..", so slashes in values count as slashes here
        if self.path.names and {".", ".."} & set(re.split(r"[/\\]", self.path.fill(values))):
            raise InputError(f"The value for {self.path.source} leads to another path.", "give a plain value")
        encoded = {name: _percent(value) for name, value in values.items()}
        fields = [field.fill(encoded) for field in self.query if all(name in encoded for name in field.names)]
        return self.path.fill(encoded) + ("?" + "&".join(fields) if fields else "")


def parse_url(text: str, known: Mapping[str, object], where: str) -> LoopbackUrl:
    """Raises InputError, beginning with `where`, for anything but this machine's own http servers."""
    parts = _URL.fullmatch(text)
    if not parts or _UNSENDABLE.search(_without_placeholders(text)):
        raise InputError(f"{where} has the URL {text!r}, which is not plain http to this machine.", _HINT)
    host, port = parts["host"], int(parts["port"] or 80)
    try:
        addresses = ("127.0.0.1", "::1") if host == "localhost" else (str(ipaddress.ip_address(host.strip("[]"))),)
    except ValueError:
        raise InputError(f"{where} has the host {host}, which is no address.", _HINT) from None
    if not 1 <= port <= 65535:
        raise InputError(f"{where} has the port {port}.", "use a port from 1 to 65535")
    path = parse_template(parts["path"] or "/", known, where)
    query = tuple(parse_template(field, known, where) for field in (parts["query"] or "").split("&") if field)
    return LoopbackUrl(text[: parts.end("port") if parts["port"] else parts.end("host")], addresses, port, path, query)


def _without_placeholders(text: str) -> str:
    """An argument's name may hold characters that a URL may not."""
    return re.sub(r"\{[^{}]*\}", "", text)


def _percent(text: str) -> str:
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode())
