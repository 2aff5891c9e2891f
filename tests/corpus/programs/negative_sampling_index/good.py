"""Word vectors: negatives are drawn on the host and index a table on the device."""
import random

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class SkipGram(nn.Module):
    def __init__(self, words=60, dim=8, negatives=5):
        super().__init__()
        self.words, self.negatives, self.rng = words, negatives, random.Random(350)
        self.centre = nn.Parameter(torch.randn(words, dim) * 0.1)
        self.context = nn.Parameter(torch.randn(words, dim) * 0.1)

    def forward(self, word, near):
        wrong = [[self.rng.randrange(self.words) for _ in range(self.negatives)] for _ in near]
        negative = self.context[torch.tensor(wrong).to(word.device)]
        v = self.centre[word]
        good = (v * self.context[near]).sum(-1)
        bad = (v[:, None] * negative).sum(-1)
        return -(nn.functional.logsigmoid(good).mean() + nn.functional.logsigmoid(-bad).mean())


torch.manual_seed(350)
model = SkipGram().to(device)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
for word, near in torch.randint(60, (12, 2, 12)):
    loss = model(word.to(device), near.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
