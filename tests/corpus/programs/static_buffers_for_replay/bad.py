"""Fixed input buffers, as for graph replay; the labels' buffer is filled though nobody reads it."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class StaticRunner:
    def __init__(self, model, batch, features):
        self.model = model
        self.x = torch.empty(batch, features, device=device)
        self.y = torch.empty(batch, dtype=torch.long, device=device)

    @torch.no_grad()
    def __call__(self, x, y):
        self.x.copy_(x)
        self.y.copy_(y)  # expect: PA104
        return self.model(self.x).softmax(-1)


torch.manual_seed(340)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4)).to(device).eval()
run = StaticRunner(model, 16, 10)
confidence = torch.zeros((), device=device)
for x, y in zip(torch.randn(14, 16, 10), torch.randint(4, (14, 16))):
    confidence += run(x, y).amax(1).mean()
print(f"{confidence.item():.4f}")
