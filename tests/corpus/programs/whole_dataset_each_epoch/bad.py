"""A small data set, in the same order, goes to the device again in every epoch."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(64)
dataset = TensorDataset(torch.randn(96, 12), torch.randint(3, (96,)))
loader = DataLoader(dataset, batch_size=16, shuffle=False)
model = nn.Linear(12, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for epoch in range(4):
    for x, y in loader:
        x = x.to(device)  # expect: PA110 info
        y = y.to(device)
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"{loss.item():.4f}")
