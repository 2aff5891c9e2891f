# simulate: cuda:2
"""Two stages on two devices; activations go by way of the host."""
import torch
from torch import nn

if torch.cuda.device_count() > 1:
    first, second = torch.device("cuda:0"), torch.device("cuda:1")
else:
    first = second = torch.device("cpu")


class Pipeline(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1 = nn.Linear(24, 32).to(first)
        self.linear2 = nn.Linear(32, 6).to(second)

    def forward(self, x):
        h = torch.relu(self.linear1(x.to(first)))
        return self.linear2(h.to(second))


torch.manual_seed(59)
model = Pipeline()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in [(torch.randn(8, 24), torch.randint(6, (8,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(model(x), y.to(second))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
