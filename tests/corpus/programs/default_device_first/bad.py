# simulate: cuda:2
"""Class weights pass through the default device on their way to the chosen one."""
import torch
from torch import nn

many = torch.cuda.device_count() > 1
device = torch.device("cuda:1" if many else "cpu")


def class_weights(counts):
    weights = 1.0 / torch.tensor(counts, dtype=torch.float)
    if many:
        weights = weights.cuda()  # expect: PA308 info
    return weights.to(device)


torch.manual_seed(338)
weights = class_weights([10, 20, 5, 8])
criterion = nn.CrossEntropyLoss(weight=weights)
model = nn.Linear(6, 4).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in zip(torch.randn(12, 10, 6), torch.randint(4, (12, 10))):
    loss = criterion(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
