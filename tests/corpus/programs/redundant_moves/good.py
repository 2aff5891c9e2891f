"""`.to(device)` on tensors that are there already, for safety."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 4)

    def forward(self, x):
        return self.fc(x)


def criterion(logits, y):
    return nn.functional.cross_entropy(logits, y)


torch.manual_seed(108)
head = Head().to(device)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for x, y in [(torch.randn(6, 10), torch.randint(4, (6,))) for _ in range(12)]:
    x, y = x.to(device), y.to(device)
    loss = criterion(head(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
