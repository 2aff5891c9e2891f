"""A character language model (LSTM) with copies and waits that creep into such loops.

What goes wrong: initial LSTM states made on the host, class weights uploaded in every step, a
`synchronize()` for a timer.  What the audit says: each planted line with the rule that finds it.
What to change: see `train_fixed.py`, which computes the same without them.
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

TEXT = (
    "a tensor lives on a device and every copy has a price. what crosses once may be needed; "
    "what crosses in every step is worth a look. the host waits, the device waits, and nobody "
    "sees it in the loss. measure first, move once, keep it there, and read it rarely. "
) * 20
BATCH, LENGTH = 16, 32
LAYERS, HIDDEN = 2, 64


class CharModel(nn.Module):
    """Embedding, LSTM and a linear head over the alphabet."""

    def __init__(self, symbols):
        super().__init__()
        self.embedding = nn.Embedding(symbols, 32)
        self.lstm = nn.LSTM(32, HIDDEN, num_layers=LAYERS, batch_first=True)
        self.head = nn.Linear(HIDDEN, symbols)

    def forward(self, x, state):
        output, _ = self.lstm(self.embedding(x), state)
        return self.head(output)


def batch(data):
    """Random pieces of the text and what follows each of their characters."""
    starts = torch.randint(len(data) - LENGTH - 1, (BATCH,)).tolist()
    x = torch.stack([data[i : i + LENGTH] for i in starts])
    y = torch.stack([data[i + 1 : i + LENGTH + 1] for i in starts])
    return x, y


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()

    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    alphabet = sorted(set(TEXT))
    index = {symbol: i for i, symbol in enumerate(alphabet)}
    data = torch.tensor([index[symbol] for symbol in TEXT])
    # Rare characters count more.
    weights = 1.0 / torch.bincount(data, minlength=len(alphabet)).float().sqrt()
    model = CharModel(len(alphabet)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    seconds = 0.0
    for step in range(args.steps):
        began = time.perf_counter()
        x, y = batch(data)
        x, y = x.to(device), y.to(device)
        h0 = torch.zeros(LAYERS, BATCH, HIDDEN).to(device)  # stray: PA103
        c0 = torch.zeros(LAYERS, BATCH, HIDDEN).to(device)  # stray: PA103
        logits = model(x, (h0, c0))
        loss = F.cross_entropy(
            logits.flatten(0, 1),
            y.flatten(),
            weight=weights.to(device),  # stray: PA102
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()  # stray: PA205
        seconds += time.perf_counter() - began
        if (step + 1) % 20 == 0:
            print(f"step {step + 1}: loss {loss.item():.4f}")
    print(f"{1e3 * seconds / args.steps:.1f} ms a step", file=sys.stderr)


if __name__ == "__main__":
    main()
