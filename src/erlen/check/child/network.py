"""Refuse connections to other machines.

It covers what goes through Python's `socket`; a library that connects by itself (libpq, gRPC) is
not seen here.
"""

from __future__ import annotations

import ipaddress
import socket
import typing as t
from functools import wraps

#: Where the application wanted to connect to, as `host` or `host:port`, each once.
refused: list[str] = []

_LOCAL = {"", "localhost", "localhost.localdomain", "ip6-localhost"}


def keep_to_loopback(allowed: t.Iterable[str] = ()) -> None:
    """Let sockets of this process reach the loopback and the `allowed` hosts only."""
    hosts = {*_LOCAL, socket.gethostname(), *allowed}

    def is_near(host: t.Any) -> bool:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name is None or name in hosts:
            return True
        if not _is_address(name):
            return False
        address = ipaddress.ip_address(name.partition("%")[0])
        return address.is_loopback or address.is_unspecified

    def refuse(place: str) -> t.NoReturn:
        if place not in refused:
            refused.append(place)
        raise ConnectionRefusedError(
            f"'erlen check' sends nothing beyond this machine, and the application wants to reach"
            f" {place}; '--allow {place.partition(':')[0]}' lets it"
        )

    def guard(name: str, position: int) -> None:
        method = getattr(socket.socket, name)

        @wraps(method)
        def guarded(self: socket.socket, *args: t.Any) -> t.Any:
            address = args[position] if position < len(args) else args[-1]
            if isinstance(address, tuple) and not is_near(address[0]):
                refuse(f"{address[0]}:{address[1]}")
            return method(self, *args)

        setattr(socket.socket, name, guarded)

    def guard_names(name: str, addresses_of: t.Callable[[t.Any], t.Iterable[t.Any]]) -> None:
        find = getattr(socket, name)

        @wraps(find)
        def find_near(host: t.Any, *args: t.Any, **options: t.Any) -> t.Any:
            if not is_near(host) and not _is_address(host):
                refuse(str(host))
            found = find(host, *args, **options)
            if host in hosts:  # what connects does so by address
                hosts.update(addresses_of(found))
            return found

        setattr(socket, name, find_near)

    def guard_addresses(name: str) -> None:
        """Of an address nobody is asked which name it has."""
        find = getattr(socket, name)

        @wraps(find)
        def find_near(address: t.Any, *flags: int) -> t.Any:
            host = address[0] if isinstance(address, tuple) else address
            if not is_near(host) and not any(flag & socket.NI_NUMERICHOST for flag in flags):
                refuse(str(host))
            return find(address, *flags)

        setattr(socket, name, find_near)

    for name, position in (("connect", 0), ("connect_ex", 0), ("sendto", 2), ("sendmsg", 3)):
        guard(name, position)
    guard_names("getaddrinfo", lambda found: (entry[4][0] for entry in found))
    guard_names("gethostbyname", lambda found: (found,))
    guard_names("gethostbyname_ex", lambda found: found[2])
    guard_addresses("gethostbyaddr")
    guard_addresses("getnameinfo")


def _is_address(host: t.Any) -> bool:
    """Whether a host is a number already, so that nobody is asked for it."""
    try:
        ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True
