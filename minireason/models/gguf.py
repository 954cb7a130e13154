"""Read and check a GGUF file before any C code sees it."""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import replace
from pathlib import Path

from minireason.errors import ModelFileError
from minireason.host import files
from minireason.models import hyperparameters
from minireason.models.gguf_header import Header, Reader

_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_MAX_TEMPLATE_CHARS = 2**20
_MIN_BYTES = 24  # magic, version and two counts

# Decoders with full attention and rotary positions, whose KV cache can be forked and rewound.
ARCHITECTURES = frozenset(
    "llama qwen2 qwen3 mistral3 phi3 smollm3 granite olmo2 exaone glm4 qwen2moe qwen3moe".split()
)


def read(path: Path) -> Header:
    """The header of a GGUF file.

    Raises ModelFileError for anything that is not whole and well formed.
    """
    try:
        with files.open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            if size < _MIN_BYTES:
                raise ModelFileError(path, "this is not a GGUF model file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return Reader(path, data, size).header()
    except IsADirectoryError:
        raise ModelFileError(path, "this is a directory; give the .gguf file in it") from None
    except PermissionError:
        raise ModelFileError(path, "no permission to read this file") from None
    except OSError as error:
        raise ModelFileError(path, f"could not be read ({error.strerror or error})") from None


def shards(path: Path) -> list[Path]:
    """The files of a model whose first is given.

    It alone, or of a split model all of ...-00001-of-00003.gguf and so on. Raises ModelFileError
    for another part than the first.
    """
    split = _SHARD.fullmatch(path.name)
    if not split or not int(split[3]):
        return [path]
    stem, first, count = split.groups()
    if int(first) != 1:
        raise ModelFileError(
            path,
            f"this is part {int(first)} of {int(count)} of a model; give the first, "
            f"{stem}-00001-of-{count}.gguf",
        )
    numbers = range(1, int(count) + 1)
    return [path.with_name(f"{stem}-{number:05}-of-{count}.gguf") for number in numbers]


def check(path: Path) -> Header:
    """The header of a model that minireason can run.

    Of a split model with the bytes of all parts. Raises ModelFileError with the reason if it
    cannot.
    """
    header = read(path)
    others = [read(shard) for shard in shards(path)[1:]]
    header = replace(
        header,
        tensor_bytes=header.tensor_bytes + sum(other.tensor_bytes for other in others),
        repackable_bytes=header.repackable_bytes + sum(other.repackable_bytes for other in others),
    )
    architecture = header.architecture
    if architecture not in ARCHITECTURES:
        raise ModelFileError(
            path,
            f"models of the kind {architecture!r} are not supported; minireason runs decoder "
            "models such as qwen2, llama and qwen3",
        )
    if header.number("attention.sliding_window"):
        raise ModelFileError(path, "models with sliding-window attention are not supported")
    if problem := hyperparameters.impossible(architecture, header.metadata):
        raise ModelFileError(
            path, f"the header is damaged ({problem}, which no model has); download the file again"
        )
    _check_tokenizer(path, header)
    if not header.tensor_bytes:
        raise ModelFileError(path, "the file has no weights; it holds a vocabulary only")
    return header


def _check_tokenizer(path: Path, header: Header) -> None:
    tokens = header.array_lengths.get("tokenizer.ggml.tokens")
    if header.metadata.get("tokenizer.ggml.model") != "gpt2" or not tokens:
        raise ModelFileError(path, "only byte-level BPE vocabularies are supported")
    kinds = header.array_lengths.get("tokenizer.ggml.token_type", tokens)
    if kinds != tokens:
        raise ModelFileError(
            path,
            f"the header is damaged ({tokens} tokens and the types of {kinds}); download the file "
            "again",
        )
    if header.chat_template is None:
        raise ModelFileError(
            path,
            "the file has no chat template, so it is a base model that can't hold a conversation; "
            "use its instruct or reasoning version",
        )
    if len(header.chat_template) > _MAX_TEMPLATE_CHARS:
        raise ModelFileError(path, "its chat template is too long to be one")
