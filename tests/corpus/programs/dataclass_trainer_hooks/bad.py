"""A hook-driven trainer whose metric hook takes a whole batch of scores to the host and back."""
from dataclasses import dataclass, field
from typing import Callable

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class Trainer:
    model: nn.Module
    hooks: list[Callable] = field(default_factory=list)

    def __post_init__(self):
        self.model.to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)

    def fit(self, data):
        for batch in data:
            x = batch.to(device)
            scores = self.model(x)
            for hook in self.hooks:
                scores = hook(scores)
            loss = (scores - x.mean(1, keepdim=True)).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


class Ranking:
    """Regulariser: the mean rank of the scores, known to the host library as a NumPy array."""

    def __init__(self):
        self.offset = None

    def __call__(self, scores):
        if self.offset is not None:
            scores = scores + 0.01 * torch.from_numpy(self.offset).to(scores.device)  # expect: PA101
        self.offset = scores.detach().cpu().numpy()
        return scores


torch.manual_seed(120)
print(f"{Trainer(nn.Linear(6, 1), [Ranking()]).fit(torch.randn(12, 32, 6)):.5f}")
