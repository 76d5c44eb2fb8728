"""Signed, dated, URL-safe text, as itsdangerous makes and checks it, with the work kept.

Importing this module imports itsdangerous, so that is left to the first use of a session.
"""

from __future__ import annotations

import time
import typing as t
import zlib
from binascii import b2a_base64
from functools import lru_cache
from hmac import compare_digest
from hmac import new as new_hmac

from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, int_to_bytes, want_bytes

_URL_SAFE: t.Final = bytes.maketrans(b"+/", b"-_")

# The longest text for which `_can_shrink` tells, and how wrong it may be.
_PROBED: t.Final = 126
_MARGIN: t.Final = 4


def _can_shrink(text: bytes) -> bool:
    """Whether zlib might make the text shorter; false is certain.

    PERF: the usual compressor clears a quarter of a megabyte before it starts, which takes longer
    than all other steps of signing. For text shorter than one block of the smallest compressor,
    that one finds the same matches.
    """
    if len(text) > _PROBED:
        return True
    probe = zlib.compressobj(wbits=9, memLevel=1)
    return len(probe.compress(text)) + len(probe.flush()) < len(text) - 1 + _MARGIN


class CookieSerializer(URLSafeTimedSerializer):
    """Text and results of `URLSafeTimedSerializer`, with the derived keys computed once.

    Only for the key derivation and digest method of `signer_kwargs`; not to be changed after it
    was made.
    """

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        signer = self.make_signer()
        self._macs = [
            new_hmac(signer.derive_key(secret), digestmod=signer.digest_method)
            for secret in reversed(self.secret_keys)
        ]
        self._now: tuple[int, bytes] = (0, b"")

    def dumps(self, obj: t.Any, salt: t.Any = None) -> str:
        """The object as signed text. Another salt than the serializer's own takes the long way."""
        if salt is not None:
            return super().dumps(obj, salt)
        now = int(time.time())
        second, stamp = self._now
        if second != now:
            stamp = b"." + _encode(int_to_bytes(now))
            self._now = now, stamp
        signed = self.dump_payload(obj) + stamp
        return (signed + b"." + _signature(self._macs[0], signed)).decode()

    def loads(  # type: ignore[override]  # as its base class does
        self,
        s: str | bytes,
        max_age: int | None = None,
        return_timestamp: bool = False,
        salt: t.Any = None,
    ) -> t.Any:
        """The object from signed text, at most `max_age` seconds old.

        Raises BadSignature and BadPayload of itsdangerous, which are its own: whatever is not
        right at first sight takes the long way.
        """
        if salt is None and not return_timestamp:
            signed, _, signature = want_bytes(s).rpartition(b".")
            if any(compare_digest(_signature(mac, signed), signature) for mac in self._macs):
                payload, _, stamp = signed.rpartition(b".")
                if payload and len(stamp) <= 8 and self._is_young(stamp, max_age):
                    return self.load_payload(payload)
        return super().loads(s, max_age, return_timestamp, salt)

    def _is_young(self, stamp: bytes, max_age: int | None) -> bool:
        try:
            made = int.from_bytes(base64_decode(stamp), "big")
        except BadData:
            return False
        return max_age is None or 0 <= int(time.time()) - made <= max_age

    def dump_payload(self, obj: t.Any) -> bytes:
        text = want_bytes(self.serializer.dumps(obj, **self.serializer_kwargs))
        if _can_shrink(text):
            shrunk = zlib.compress(text)
            if len(shrunk) < len(text) - 1:
                return b"." + _encode(shrunk)
        return _encode(text)


def _encode(raw: bytes) -> bytes:
    """Base64 for URLs, without padding (RFC 4648, 5)."""
    return b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=")


def _signature(mac: t.Any, text: bytes) -> bytes:
    mac = mac.copy()
    mac.update(text)
    return _encode(mac.digest())


@lru_cache(maxsize=32)
def cookie_serializer(
    secret_keys: tuple[str | bytes, ...],
    salt: str,
    serializer: t.Any,
    key_derivation: str,
    digest_method: t.Any,
) -> CookieSerializer:
    """The serializer for these settings, the newest secret key last; made once."""
    return CookieSerializer(
        list(secret_keys),
        salt=salt,
        serializer=serializer,
        signer_kwargs={"key_derivation": key_derivation, "digest_method": digest_method},
    )
