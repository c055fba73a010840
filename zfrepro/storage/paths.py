"""Paths and texts that a user names: one rule for where a path leads, one check of the bytes of a text file."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.storage import workflow_files

UTF_16_OR_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
JOINERS = "\u200c\u200d"  # invisible, but part of words and emoji


def resolve(path: Path | str) -> Path:
    """The path with `~`, `~user`, `$NAME` and `${NAME}` replaced; a relative one starts at the current folder.

    `workflow/...` that is not in the current folder is the file that comes with the program: its experiments find theirs wherever it
    is installed. Every command and stage calls this where it opens a path of the user, so all of them mean the same file. What
    exists by its literal name is left alone, as is a variable that is not set.
    """
    if os.path.lexists(path):
        return Path(path)
    return workflow_files.beside_experiments(Path(os.path.expanduser(os.path.expandvars(path))))


def explain_missing(path: Path | str) -> str:
    """What may be wrong with a path that does not exist: an unset variable, an unknown user, or where a relative one starts."""
    text = os.fspath(path)
    names = [name.strip("{}") for name in re.findall(r"\$(\w+|\{\w+\})", text)]
    if unset := [name for name in names if name not in os.environ]:
        return f"the environment variable {unset[0]} is not set"
    expanded = os.path.expandvars(text)
    if expanded.startswith("~") and os.path.expanduser(expanded) == expanded:
        return f"the user {expanded[1:].split('/')[0] or 'running this'} has no home folder"
    if names or expanded.startswith("~"):
        return f"that is {os.path.expanduser(expanded)}"
    return "" if os.path.isabs(text) else f"a relative path starts at the current folder, {Path.cwd()}"


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; lines end with \\n.

    Raises UserError, naming the file, for another encoding, for bytes that are no text and for a file that cannot be read.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{printable(path)}: cannot be read ({reason}); check the path") from error
    return decode_text(content, path)


def decode_text(content: bytes, path: Path) -> str:
    """As `read_text`, from bytes; path: for messages."""
    if content.startswith(UTF_16_OR_32):
        raise UserError(f"{printable(path)}: is in UTF-16 or UTF-32; save it in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{printable(path)}, line {line}: not text in UTF-8 (byte 0x{content[error.start]:02x}); save the file in UTF-8"
        ) from error
    if "\0" in text:
        raise UserError(f"{printable(path)}: contains the character NUL, so it is not text in UTF-8; save it in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def printable(text: Path | str) -> str:
    """One line of text that can be printed: what steers a terminal or is no Unicode becomes U+FFFD."""
    return "".join(
        character if character.isprintable() or character in JOINERS else "\ufffd" for character in os.fspath(text)
    )


def is_utf8(name: str) -> bool:
    """Whether a name that the file system gave is text; Python keeps other bytes as lone surrogates."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def escape(name: str) -> str:
    r"""A name in ASCII, other bytes as \xe9."""
    return os.fsencode(name).decode("ascii", "backslashreplace")
