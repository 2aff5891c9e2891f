"""Drawing from weights: the operation checks them on the host, nobody reads a value."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Embedding(12, 12).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
tokens = torch.randint(12, (4, 9)).to(device)


def generate(start, length):
    model.eval()
    with torch.no_grad():
        for _ in range(length):
            weights = model(start[:, -1]).softmax(-1)
            drawn = torch.multinomial(weights, num_samples=1)  # expect: PA201 info
            start = torch.cat([start, drawn], dim=1)
    model.train()
    return start


for step in range(6):
    loss = nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    generate(tokens[:, :1], 5)
