"""empty_cache after each batch, against memory that was never short."""
import gc

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def clear():
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # expect: PA205


def training_loop(model, optimizer, data):
    for batch in data:
        batch = batch.to(device)
        try:
            loss = model(batch).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        finally:
            del batch
            clear()
    return loss.item()


torch.manual_seed(91)
model = nn.Linear(5, 5).to(device)
print(f"{training_loop(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.randn(12, 3, 5)):.4f}")
