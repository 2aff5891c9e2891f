"""Early stopping on the validation loss, and a CSV file of it."""
import csv
import io

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.bad = patience, float("inf"), 0

    def __call__(self, value):
        self.bad = 0 if value < self.best else self.bad + 1
        self.best = min(self.best, value)
        return self.bad > self.patience


torch.manual_seed(78)
model = nn.Linear(6, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
stop, out = EarlyStopping(100), io.StringIO()
writer = csv.writer(out)
for i, (x, y) in enumerate(zip(torch.randn(14, 5, 6), torch.randn(14, 5, 1))):
    loss = nn.functional.mse_loss(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    writer.writerow([i, loss.item()])  # expect: PA201 info
print(len(out.getvalue().splitlines()))
