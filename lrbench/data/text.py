"""A text as bytes: any file, or the documentation that comes with Python."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrbench.errors import MachineError, UsageError
from lrbench.files import read_file
from lrbench.options.recipe import TEXT_PREFIX

Bytes = NDArray[np.uint8]

DEFAULT = "default"
CONTEXT = 64  # the next character is predicted from at most this many
VOCABULARY = 256
TEST_SHARE = 10  # the last tenth of a text is its test part
# The start of the SHA-256 of the default text, by Python version.
KNOWN = {
    "3.11.2": "dc5946d060f6e174",
    "3.11.7": "ac6036576ba3c1cb",
    "3.12.1": "e70f9fd2b6b98d85",
    "3.13.0": "014478aff2a349ef",
}
DEFAULTS = {"batch_size": 8, "model": "gpt", "metric": "test_bits"}
"""The defaults of a text, by option, where they differ from the general ones."""


@dataclass(frozen=True, eq=False)
class TextData:
    """A text, uint8 `[n]`, in which a byte counts as a character. `source` says where it comes
    from."""

    name: str
    text: Bytes
    source: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.data).hexdigest()

    def parts(self, val_fraction: float) -> Mapping[str, Bytes]:
        """The text split into train, val and test, in this order: the last tenth is the test part,
        and `val_fraction` of the rest, at its end, is for validation.

        Raises:
            UsageError: a part is shorter than a window.
        """
        end = len(self.text) - len(self.text) // TEST_SHARE
        cut = np.split(self.text, [end - round(end * val_fraction), end])
        found = dict(zip(("train", "val", "test"), cut, strict=True))
        for split, part in found.items():
            if len(part) <= CONTEXT:
                raise UsageError(
                    f"--dataset {self.name}: its {split} part has {len(part)} characters, but "
                    f"one window takes {CONTEXT + 1}",
                    hint="name a longer text, or text:default",
                )
        return found


def load_text(name: str, option: str = "--dataset") -> TextData:
    """The text of `text:FILE` or `text:default`.

    Raises:
        UsageError: no file is named, or it is not in UTF-8.
        MachineError: the file cannot be read, or the default text has the wrong SHA-256.
    """
    path = name.removeprefix(TEXT_PREFIX)
    if not path:
        raise UsageError(f"{option} text: needs a file, or text:default")
    if path == DEFAULT:
        content, source = _documentation(), f"pydoc_data of Python {platform.python_version()}"
    else:
        file = Path(path).expanduser().resolve()
        content, source = read_file(file, option), str(file)
        try:
            content.decode()
        except UnicodeDecodeError as fault:
            raise UsageError(f"{option} {name}: not a text in UTF-8: {fault.reason}") from None
    return TextData(name, np.frombuffer(content, dtype=np.uint8), source)


def _documentation() -> bytes:
    """Python's language reference as shown by `help()`, without repeated paragraphs: nothing in the
    test part may also be in the training part."""
    version = platform.python_version()
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise MachineError(
            f"--dataset text:default: this Python {version} has no pydoc_data",
            hint="name a file: text:FILE",
        ) from None
    whole = "\n".join(topics[key] for key in sorted(topics))
    content = "\n\n".join(dict.fromkeys(whole.split("\n\n"))).encode()
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(KNOWN.get(version, "")):
        raise MachineError(
            f"--dataset text:default: pydoc_data differs from that of Python {version}",
            hint="reinstall Python, or name a file: text:FILE",
        )
    return content
