"""Beam search reads each candidate's score with item() inside the decode loop."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Beam:
    def __init__(self, width):
        self.width = width
        self.total = torch.zeros(width, device=device)

    def advance(self, log_probs):
        scores = (self.total[:, None] + log_probs).flatten()
        values, index = scores.topk(self.width)
        self.total = values
        return index % log_probs.size(1)


@torch.no_grad()
def decode(model, steps=14):
    beam, tokens = Beam(3), torch.zeros(3, dtype=torch.long, device=device)
    for _ in range(steps):
        tokens = beam.advance(model(tokens).log_softmax(-1))
        if tokens is None:
            break
    return beam.total


torch.manual_seed(168)
model = nn.Sequential(nn.Embedding(15, 8), nn.Linear(8, 15)).to(device)
print(f"{decode(model).sum().item():.4f}")
