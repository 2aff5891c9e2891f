"""A metric object is fed in the training loop."""
import torch
from metrics import Accuracy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train_epoch(model, loader, optimizer, metric):
    metric.reset()
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        logits = model(x)
        loss = nn.functional.cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        metric.update(logits.detach(), y)
    return metric.compute()


torch.manual_seed(307)
data = TensorDataset(torch.randn(96, 10), torch.randint(3, (96,)))
loader = DataLoader(data, batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(7))
model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 3)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
metric = Accuracy(device)
for epoch in range(3):
    accuracy = train_epoch(model, loader, optimizer, metric)
    print(epoch, f"{accuracy:.3f}")
