"""The values of one tensor read one by one: it can be downloaded whole."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = nn.Embedding(12, 12).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
letters = "abcdefghijkl"
tokens = torch.randint(12, (4, 12)).to(device)


def spelled(row):
    return "".join([letters[int(i)] for i in row])  # expect: PA106


for step in range(6):
    loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    spelled(model(tokens[0]).argmax(-1))
