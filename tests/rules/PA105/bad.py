"""Accuracy on the host: whole logits come down for one number a row."""

import torch
from torch import nn
from torch.nn import functional as F

device = "cuda"
torch.manual_seed(0)
model = nn.Linear(64, 100).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
x = torch.randn(32, 64, device=device)
y = torch.randint(0, 100, (32,), device=device)
targets = y.cpu()
correct = torch.zeros((), dtype=torch.long)
for _ in range(12):
    logits = model(x)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    predicted = logits.detach().cpu().argmax(1)  # expect: PA105
    correct += (predicted == targets).sum()
print(correct)
