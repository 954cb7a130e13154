"""Write a trained checkpoint as GGUF in Q8_0 and compare llama.cpp's logits with PyTorch's.

`python bench/tiny/export.py tiny.pt minireason/tiny/tiny.gguf`
"""

from __future__ import annotations

import sys
from pathlib import Path

import corpus
import gguf
import numpy as np
import torch
from model import Shape, Tiny

# The template of the R1 distills as published since February 2025 (it opens the thought),
# sha256 56a1447a...a84f5f.
TEMPLATE = Path(__file__).with_name("r1_template.jinja")


def byte_names() -> list[str]:
    """The printable character by which a byte-level BPE vocabulary names each byte.

    GPT-2's bytes_to_unicode.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def write(state: dict[str, torch.Tensor], shape: Shape, path: Path) -> None:
    """Write weights and all that llama.cpp needs beside them."""
    writer = gguf.GGUFWriter(path, "qwen2")
    add_hyperparameters(writer, shape)
    add_tokenizer(writer)
    for name, tensor in state.items():
        data = tensor.float().numpy()
        if data.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_hyperparameters(writer: gguf.GGUFWriter, shape: Shape) -> None:
    """What the model is."""
    writer.add_type("model")
    writer.add_name("minireason tiny")
    writer.add_description(
        "Demonstration and test model: small sums and letter counting in R1's format. "
        "Not an assistant."
    )
    writer.add_license("MIT")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(corpus.CONTEXT)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.vocab)


def add_tokenizer(writer: gguf.GGUFWriter) -> None:
    """The vocabulary and the template."""
    names = byte_names()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("deepseek-r1-qwen")
    writer.add_token_list([*names, *corpus.SPECIAL])
    writer.add_token_types(
        [gguf.TokenType.NORMAL] * 256
        + [gguf.TokenType.CONTROL] * 4
        + [gguf.TokenType.USER_DEFINED] * 2
    )
    # llama.cpp wants at least one merge; the bytes FF FF never occur in UTF-8.
    writer.add_token_merges([f"{names[255]} {names[255]}"])
    writer.add_bos_token_id(corpus.BOS)
    writer.add_eos_token_id(corpus.EOS)
    writer.add_pad_token_id(corpus.EOS)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_chat_template(TEMPLATE.read_text("utf-8"))


def agreement(model: Tiny, path: Path) -> tuple[float, float]:
    """How far llama.cpp and PyTorch agree on one worked example.

    The share of positions where both pick the same next token, and the largest logit difference.
    """
    import llama_cpp

    from minireason.engine.devices import leave_out_amx

    leave_out_amx()  # crashes on some CPUs
    text = (
        "347 + 586\nones 7+6=13, so 3\ntens 4+8+1=13, so 33\nhundreds 3+5+1=9, so 933\n"
        "347 + 586 = 933"
    )
    ids = [
        corpus.BOS,
        corpus.USER,
        *corpus.encode("What is 347 + 586?"),
        corpus.ASSISTANT,
        corpus.THINK,
        *corpus.encode("\n" + text),
    ]
    with torch.no_grad():
        ours = model.output(model(torch.tensor([ids])))[0].numpy()
    other = llama_cpp.Llama(str(path), n_ctx=512, logits_all=True, verbose=False)
    other.eval(ids)
    theirs = np.array(other.scores[: len(ids)])
    return float((ours.argmax(1) == theirs.argmax(1)).mean()), float(abs(ours - theirs).max())


def main() -> None:
    checkpoint, out = Path(sys.argv[1]), Path(sys.argv[2])
    saved = torch.load(checkpoint, weights_only=True)
    model = Tiny(Shape())
    model.load_state_dict(saved["model"])
    write(model.state_dict(), model.shape, out)
    same, difference = agreement(model, out)
    count = sum(parameter.numel() for parameter in model.parameters())
    steps = f"step {saved['step']} of {saved['steps']}"
    print(f"{out}: {out.stat().st_size:,} bytes, {steps}, {count:,} parameters")
    print(
        f"llama.cpp (Q8_0) and PyTorch (float32) pick the same next token at {same:.1%} of "
        f"positions; largest logit difference {difference:.3f}"
    )


if __name__ == "__main__":
    main()
