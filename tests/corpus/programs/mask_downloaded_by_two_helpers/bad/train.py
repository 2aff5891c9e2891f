"""Two loggers in another file each take the same gradient down."""
import torch
from callbacks import Histogram, Snapshot
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def fit(model, batches, callbacks):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in batches:
        batch = batch.to(device)
        loss = (model(batch) - batch).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        for callback in callbacks:
            callback.after_backward(model.weight.grad)
        optimizer.step()


torch.manual_seed(62)
model = nn.Linear(10, 10).to(device)
callbacks = [Histogram(), Snapshot()]
fit(model, torch.randn(12, 5, 10), callbacks)
print(" ".join(f"{c.result():.4f}" for c in callbacks))
