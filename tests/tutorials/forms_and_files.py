"""Forms and files."""

from io import BytesIO
from typing import Annotated

from pydantic import BaseModel, Field

from erlen.api import File, Form, Upload, UploadFile

from .harness import apps, fastapi, post, tutorial

LOGIN = {"username": "ada", "password": "secret"}


def file(name="a.txt", data=b"hello", kind="text/plain"):
    return lambda: (BytesIO(data), name, kind)


@tutorial(
    "Form Data",
    *(post("/login", data=LOGIN), post("/login", data={"username": "ada"}), post("/login")),
    post("/login", data=LOGIN, content_type="multipart/form-data"),
    post("/login", data={"username": "", "password": "x"}),
    post("/login", json=LOGIN, differs="no form"),
)
def form():
    ours, theirs = apps()

    @ours.post("/login")
    def login(username: Form[str], password: Form[str]):
        return {"username": username}

    @theirs.post("/login")
    async def enter(
        username: Annotated[str, fastapi.Form()], password: Annotated[str, fastapi.Form()]
    ):
        return {"username": username}

    return ours, theirs


@tutorial(
    "Form Data",
    *(post("/ages", data={"age": ""}), post("/ages", data={"age": "3", "tags": ["a", "b"]})),
    *(post("/ages", data={"age": "x"}), post("/ages")),
)
def form_with_empty_fields():
    ours, theirs = apps()

    @ours.post("/ages")
    def take(age: Form[int | None] = None, tags: Form[list[str]] = []):  # noqa: B006
        return {"age": age, "tags": tags}

    @theirs.post("/ages")
    async def give(
        age: Annotated[int | None, fastapi.Form()] = None,
        tags: Annotated[list[str], fastapi.Form()] = [],  # noqa: B006
    ):
        return {"age": age, "tags": tags}

    return ours, theirs


@tutorial(
    "Form Models",
    *(post("/login", data=LOGIN), post("/login", data={"username": "ada"}), post("/login")),
    post("/login", data={**LOGIN, "extra": "x"}),
    post("/login", data={**LOGIN, "age": "", "tags": ["a", "b"]}),
)
def form_model():
    class Data(BaseModel):
        model_config = {"extra": "forbid"}
        username: str
        password: str = Field(min_length=3)
        age: int | None = None
        tags: list[str] = []

    ours, theirs = apps()

    @ours.post("/login")
    def login(data: Form[Data]) -> Data:
        return data

    @theirs.post("/login")
    async def enter(data: Annotated[Data, fastapi.Form()]):
        return data

    return ours, theirs


@tutorial(
    "Request Files",
    *(post("/files", data={"file": file()}), post("/files")),
    post("/uploads", data={"file": file("b.bin", b"\0" * 70_000, "image/png")}),
    *(post("/uploads", data={"other": file()}), post("/uploads", json={}, differs="no form")),
)
def one_file():
    ours, theirs = apps()

    @ours.post("/files")
    def whole(file: File[bytes]):
        return {"size": len(file)}

    @ours.post("/uploads")
    def handle(file: UploadFile):
        size = len(file.read())
        return {"name": file.filename, "type": file.content_type, "size": size}

    @theirs.post("/files")
    async def a(file: Annotated[bytes, fastapi.File()]):
        return {"size": len(file)}

    @theirs.post("/uploads")
    async def b(file: fastapi.UploadFile):
        size = len(await file.read())
        return {"name": file.filename, "type": file.content_type, "size": size}

    return ours, theirs


@tutorial("Request Files", post("/uploads", data={"file": file()}), post("/uploads"))
def optional_file():
    ours, theirs = apps()

    @ours.post("/uploads")
    def handle(file: File[UploadFile | None] = None):
        return {"name": file and file.filename}

    @theirs.post("/uploads")
    async def b(file: fastapi.UploadFile | None = None):
        return {"name": file and file.filename}

    return ours, theirs


@tutorial(
    "Request Files",
    *(post("/files", data={"files": [file(), file("b", b"bb")]}), post("/files")),
    post("/uploads", data={"files": [file(), file("b", b"bb")]}),
    post("/uploads", data={"files": [file()]}),
)
def several_files():
    ours, theirs = apps()

    @ours.post("/files")
    def whole(files: File[list[bytes]]):
        return {"sizes": [len(each) for each in files]}

    @ours.post("/uploads")
    def handle(files: list[UploadFile]):
        return {"names": [each.filename for each in files]}

    @theirs.post("/files")
    async def a(files: Annotated[list[bytes], fastapi.File()]):
        return {"sizes": [len(each) for each in files]}

    @theirs.post("/uploads")
    async def b(files: list[fastapi.UploadFile]):
        return {"names": [each.filename for each in files]}

    return ours, theirs


@tutorial(
    "Request Forms and Files",
    post("/files", data={"one": file(), "other": file("b", b"bb"), "token": "t"}),
    *(post("/files", data={"one": file(), "token": "t"}), post("/files", data={"token": "t"})),
)
def form_and_files():
    ours, theirs = apps()

    @ours.post("/files")
    def handle(one: File[bytes], other: UploadFile, token: Form[str]):
        return {"size": len(one), "token": token, "type": other.content_type}

    @theirs.post("/files")
    async def take(
        one: Annotated[bytes, fastapi.File()],
        other: Annotated[fastapi.UploadFile, fastapi.File()],
        token: Annotated[str, fastapi.Form()],
    ):
        return {"size": len(one), "token": token, "type": other.content_type}

    return ours, theirs


@tutorial(
    "Request Files",
    post("/files", data={"file": file(data=b"1234")}),
    post("/files", data={"file": file(data=b"12345")}, differs="file too large"),
)
def limited_file():
    ours, theirs = apps()

    @ours.post("/files")
    def handle(file: Annotated[UploadFile, Upload(max_size=4)]):
        return {"name": file.filename}

    @theirs.post("/files")
    async def take(file: fastapi.UploadFile):
        return {"name": file.filename}

    return ours, theirs
