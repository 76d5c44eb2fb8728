"""Files that are sent to a model: any, images, sound.

They come as parts of a multipart form, or in JSON as base64 text, with or without the head of a
data URL (RFC 2397). An address is never fetched. Arriving, a file is only measured; it is decoded
by `load`, which the route calls where it stops nobody else.
"""

from __future__ import annotations

import base64
import io
import mimetypes
import re
import struct
import typing as t
import zlib

from pydantic_core import PydanticCustomError, core_schema
from werkzeug.datastructures import FileStorage

from ..errors import MissingExtra
from .limits import MEGABYTE, Limits, Schema, fault

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import typing_extensions as te
    from PIL.Image import Image as PILImage

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[\w.+-]+)*)(;base64)?,")
_LONGEST_HEAD = 200


class File:
    """A file that a client has sent.

    :param data: its bytes
    :param filename: as the client says; not a path to trust
    :param content_type: as the client says
    """

    #: Of the field on a page and in documents.
    kind: t.ClassVar[str] = "file"
    media_type: t.ClassVar[str] = "application/octet-stream"
    max_size: t.ClassVar[int] = 10 * MEGABYTE
    #: Formats that are taken, in the words of `Limits`; none for any.
    formats: t.ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        data: bytes = b"",
        filename: str | None = None,
        content_type: str | None = None,
    ) -> None:
        self.filename = filename
        self.content_type = content_type or self.media_type
        self._data: bytes | None = data
        self._text = ""
        self._source: FileStorage | None = None
        self._limits = Limits()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.filename or self.content_type!r}>"

    @property
    def data(self) -> bytes:
        """The bytes. Raises PydanticCustomError for text that is not base64."""
        if self._data is None:
            source = self._source
            if source is not None:
                source.stream.seek(0)
                self._data = source.stream.read()
            else:
                try:
                    self._data = base64.b64decode(self._text, validate=True)
                except ValueError:  # also for text that is not ASCII
                    message = "A file in JSON is base64 text, and this is not"
                    raise fault("not_base64", message) from None
            self._source, self._text = None, ""
        return self._data

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def open(self) -> io.BytesIO:
        """The bytes as a file."""
        return io.BytesIO(self.data)

    def load(self) -> None:
        """Read and check all of it. Raises PydanticCustomError for a file that is not as it has
        to be."""
        data = self.data
        most = self._limits.max_size or self.max_size
        if len(data) > most:
            raise _too_large(most)
        if not data:
            raise fault("file_empty", "The file is empty")
        if self.kind == "file" and self._limits.formats and not self._is_of(self._limits.formats):
            names = ", ".join(self._limits.formats)
            raise fault("file_type", f"This is no file of these formats: {names}")

    def _is_of(self, formats: Sequence[str]) -> bool:
        """Whether the file is of a format, as far as the client says what it is."""
        known = {each.lower().lstrip(".") for each in formats}
        _, dot, ending = (self.filename or "").rpartition(".")
        if dot:
            return ending.lower() in known
        if self.content_type == self.media_type:
            return True
        endings = {each[1:] for each in mimetypes.guess_all_extensions(self.content_type)}
        return not known.isdisjoint({*endings, self.content_type.partition("/")[2]})

    def known_type(self) -> str:
        """The content type; of an image or a sound found out, if need be."""
        if self.content_type.endswith("/*"):
            self.load()
        return self.content_type

    def data_url(self) -> str:
        """The file as a data URL, as answers have it in JSON. Raises PydanticCustomError."""
        self.known_type()
        return f"data:{self.content_type};base64,{base64.b64encode(self.data).decode()}"

    # Validation

    @classmethod
    def _received(cls, value: t.Any, limits: Limits) -> te.Self:
        """What a request brings, measured but not decoded."""
        if isinstance(value, cls):
            return value
        most = limits.max_size or cls.max_size
        made = cls()
        made._limits = limits
        made._data = None
        if isinstance(value, FileStorage):
            stream = value.stream
            if stream.seek(0, io.SEEK_END) > most:
                raise _too_large(most)
            made._source, made.filename = value, value.filename
            made.content_type = value.mimetype or cls.media_type
        elif isinstance(value, (bytes, bytearray)):
            if len(value) > most:
                raise _too_large(most)
            made._data = bytes(value)
        elif isinstance(value, str):
            made._take_text(value, most)
        else:
            raise fault("file_type", "A file is a part of a form, or in JSON base64 text")
        return made

    def _take_text(self, text: str, most: int) -> None:
        head = text[:_LONGEST_HEAD]
        if head.startswith("data:"):
            found = _DATA_URL.match(head)
            if found is None or not found[3]:
                raise fault("not_base64", "A data URL of a file is in base64")
            self.content_type = found[1] or self.content_type
            text = text[found.end() :]
        elif re.match(r"[a-zA-Z][\w+.-]*://", head):
            raise fault("address", "Addresses are not fetched: send the file itself")
        if len(text) * 3 // 4 > most + 2:
            raise _too_large(most)
        self._text = text

    @classmethod
    def _limited_schema(cls, limits: Limits) -> Schema:
        def make(value: t.Any) -> File:
            return cls._received(value, limits)

        said = {"kind": cls.kind, "formats": [*(limits.formats or cls.formats)]}
        schema: dict[str, t.Any] = {
            "type": "string",
            "contentEncoding": "base64",
            "contentMediaType": cls.media_type,
            "maxLength": (limits.max_size or cls.max_size) * 4 // 3 + _LONGEST_HEAD,
        }
        return core_schema.no_info_plain_validator_function(
            make,
            metadata={
                "pydantic_js_functions": [lambda _schema, _handler: schema],
                "erlen_file": said,
            },
            serialization=core_schema.plain_serializer_function_ser_schema(File.data_url),
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: t.Any, handler: t.Any) -> Schema:
        return cls._limited_schema(Limits())


def _too_large(most: int) -> Exception:
    return fault("file_too_large", f"The file is larger than {most} bytes")


class Image(File):
    """An image. `pil` is a Pillow image, `array()` an array of numpy's.

    PNG, JPEG, WebP, GIF and BMP are taken, up to 10 MB and 40 megapixels; `Limits` says otherwise.
    """

    kind = "image"
    media_type = "image/*"
    formats = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
    #: Width times height.
    max_pixels: t.ClassVar[int] = 40 * MEGABYTE

    _pil: PILImage | None = None

    @classmethod
    def of(cls, pixels: t.Any) -> Image:
        """An image from a Pillow image, or from an array of (height, width[, 1, 3 or 4]) that is
        `uint8`, or of numbers from 0 to 1."""
        made = cls(content_type="image/png")
        made._pil = pixels if hasattr(pixels, "getbands") else _from_array(pixels)
        made._data = None
        return made

    @property
    def data(self) -> bytes:
        if self._data is None and self._pil is not None and not self._text and not self._source:
            into = io.BytesIO()
            self._pil.save(into, "PNG")
            self._data = into.getvalue()
        return super().data

    @property
    def pil(self) -> PILImage:
        """The image, decoded, upright as its EXIF data say."""
        if self._pil is None:
            self.load()
        return t.cast("PILImage", self._pil)

    @property
    def width(self) -> int:
        return self.pil.width

    @property
    def height(self) -> int:
        return self.pil.height

    def array(
        self, mode: str | None = None, size: tuple[int, int] | None = None
    ) -> np.ndarray[t.Any, t.Any]:
        """The pixels as `uint8`, (height, width) or (height, width, channels).

        :param mode: Pillow's, such as `L` or `RGB`; transparent parts become white where it has no
            alpha channel
        :param size: width and height to which the image is resized
        """
        import numpy as np

        image = self.pil
        if mode is not None and image.mode != mode:
            if _is_transparent(image) and "A" not in mode:
                image = _on_white(image)
            image = image.convert(mode)
        if size is not None and image.size != tuple(size):
            image = image.resize(size)
        return np.asarray(image)

    def load(self) -> None:
        """Decode it. Raises PydanticCustomError."""
        if self._pil is not None:
            return
        super().load()
        library = _pillow()
        limits = self._limits
        formats = tuple(limits.formats or self.formats)
        most = limits.max_pixels or self.max_pixels
        bombs = library.DecompressionBombError, library.DecompressionBombWarning
        try:
            image = library.open(io.BytesIO(self.data), formats=formats)
            if image.width * image.height > most:
                raise _too_many_pixels(most)
            image.load()
            image = _upright(image)
        except PydanticCustomError:  # which is a ValueError
            raise
        except bombs:
            raise _too_many_pixels(most) from None
        except library.UnidentifiedImageError:
            names = ", ".join(formats)
            raise fault("image_type", f"This is no image of these formats: {names}") from None
        except _BROKEN:
            raise fault("image_broken", "The image is broken or cut off") from None
        self._pil = image
        self.content_type = library.MIME.get(image.format or "", self.content_type)


# What Pillow raises for data that are not what they begin as.
_BROKEN = (
    *(OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, MemoryError, struct.error, zlib.error),
)


def _too_many_pixels(most: int) -> Exception:
    return fault("image_too_large", f"The image has more than {most} pixels")


def _pillow() -> t.Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise MissingExtra("An image input", "PIL", "images") from error
    return PIL.Image


def _upright(image: t.Any) -> t.Any:
    from PIL import ImageOps

    form = image.format
    turned = ImageOps.exif_transpose(image)
    turned.format = form
    return turned


def _is_transparent(image: t.Any) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _on_white(image: t.Any) -> t.Any:
    import PIL.Image

    image = image.convert("RGBA")
    ground = PIL.Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return ground


def _from_array(pixels: t.Any) -> t.Any:
    import numpy as np

    array = np.asarray(pixels)
    if array.dtype != np.uint8:
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _pillow().fromarray(np.ascontiguousarray(array))


class Audio(File):
    """Sound: WAV, MP3, FLAC, Ogg, WebM or MP4, up to 20 MB. WAV can be read by `samples`."""

    kind = "audio"
    media_type = "audio/*"
    formats = ("wav", "mp3", "flac", "ogg", "webm", "mp4")
    max_size = 20 * MEGABYTE

    format: str | None = None

    @classmethod
    def of(cls, samples: t.Any, rate: int) -> Audio:
        """Sound as WAV, 16 bits a sample.

        :param samples: numbers from -1 to 1, (time) or (time, channels)
        :param rate: samples in a second
        """
        import wave

        import numpy as np

        array = np.atleast_2d(np.asarray(samples, dtype=np.float64).T).T
        into = io.BytesIO()
        with wave.open(into, "wb") as out:
            out.setnchannels(array.shape[1])
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes((array.clip(-1, 1) * 32_767).astype("<i2").tobytes())
        return cls(into.getvalue(), content_type="audio/wav")

    def load(self) -> None:
        """Check what it is. Raises PydanticCustomError."""
        super().load()
        self.format = _sound_format(self.data[:16])
        known = [each.lower() for each in self._limits.formats or self.formats]
        if self.format is None or self.format not in known:
            raise fault("audio_type", f"This is no sound of these formats: {', '.join(known)}")
        main, _, sub = self.content_type.partition("/")
        if main not in ("audio", "video") or sub == "*":
            self.content_type = f"audio/{_SOUND_TYPES.get(self.format, self.format)}"
        if self.format == "wav":
            self._open_wav().close()

    def _open_wav(self) -> t.Any:
        import wave

        try:
            return wave.open(self.open(), "rb")
        except (wave.Error, EOFError, ValueError, RuntimeError, struct.error):
            raise fault("audio_broken", "The sound is broken, or no WAV of plain samples") from None

    def samples(self) -> tuple[np.ndarray[t.Any, t.Any], int]:
        """Of a WAV file the samples, (time, channels) from -1 to 1, and how many are a second's.

        Raises PydanticCustomError for what cannot be read.
        """
        import numpy as np

        with self._open_wav() as opened:
            width, channels, rate = (
                opened.getsampwidth(),
                opened.getnchannels(),
                opened.getframerate(),
            )
            frames = opened.readframes(opened.getnframes())
        kinds: dict[int, Callable[[], t.Any]] = {
            1: lambda: (np.frombuffer(frames, np.uint8) - 128.0) / 128,
            2: lambda: np.frombuffer(frames, "<i2") / 32_768.0,
            4: lambda: np.frombuffer(frames, "<i4") / 2_147_483_648.0,
        }
        if width not in kinds or len(frames) % (width * channels):
            raise fault("audio_broken", "The sound is broken, or no WAV of plain samples")
        return kinds[width]().reshape(-1, channels).astype(np.float32), rate


_SOUND_TYPES = {"mp3": "mpeg"}


def _sound_format(head: bytes) -> str | None:
    """Which format the first bytes of a file show."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[4:8] == b"ftyp":
        return "mp4"
    beginnings = {b"fLaC": "flac", b"OggS": "ogg", b"\x1aE\xdf\xa3": "webm", b"ID3": "mp3"}
    for beginning, name in beginnings.items():
        if head.startswith(beginning):
            return name
    is_frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    return "mp3" if is_frame else None
