"""Of two indices only the one made on the host is uploaded; a list of one number is a slice."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Linear(16, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = [(torch.randn(8, 16), torch.randint(4, (8,))) for _ in range(6)]


def picked(scores, chosen):
    return scores[torch.arange(len(chosen)), chosen]  # expect: PA208


for x, y in data:
    x, y = x.to(device), y.to(device)
    scores = model(x).log_softmax(1)
    best, _ = scores.topk(3)
    loss = -picked(scores, y).mean() + best[:, [-1]].mean()  # expect: PA208
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
