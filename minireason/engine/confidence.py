"""How sure the model was of a token, from the raw logits it was sampled from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from minireason.engine.logits import likeliest

TOP = 20


def token_confidence(logits: npt.NDArray[np.float32], top: int = TOP) -> float:
    """Minus the mean log-probability of the `top` likeliest tokens: high when one stands out.

    After DeepConf, arXiv 2508.15260. Exact, in a tenth of the time of np.partition over a
    vocabulary of 152k.
    """
    candidates, top = logits[likeliest(logits, top)], min(top, len(logits))
    best = np.partition(candidates, -top)[-top:]
    highest = best.max()
    shifted = logits - highest
    np.exp(shifted, out=shifted)
    return float(highest + np.log(shifted.sum()) - best.mean())
