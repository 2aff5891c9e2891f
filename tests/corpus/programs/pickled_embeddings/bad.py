"""Pickled label embeddings land on the host and meet device tensors in each step."""
import io
import pickle

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Store:
    def __init__(self, raw):
        self.table = pickle.load(io.BytesIO(raw))

    def similarity(self, features):
        return features @ self.table.to(features.device).T  # expect: PA307


torch.manual_seed(149)
raw = pickle.dumps(torch.randn(6, 12))
store, model = Store(raw), nn.Linear(10, 12).to(device)
optimizer = torch.optim.Adam(model.parameters())
for x, y in [(torch.randn(5, 10), torch.randint(6, (5,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(store.similarity(model(x.to(device))), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
