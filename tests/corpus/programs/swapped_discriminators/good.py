"""Two critics take turns on the device; the idle one is put on the host."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Swapper:
    def __init__(self, models):
        self.models = [model.to(device) for model in models]

    def use(self, index):
        return self.models[index]


torch.manual_seed(148)
critics = Swapper([nn.Linear(6, 1) for _ in range(2)])
generator = nn.Linear(6, 6).to(device)
optimizer = torch.optim.Adam(generator.parameters(), lr=1e-2)
for step, z in enumerate(torch.randn(12, 4, 6)):
    critic = critics.use(step % 2)
    loss = -critic(generator(z.to(device))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
