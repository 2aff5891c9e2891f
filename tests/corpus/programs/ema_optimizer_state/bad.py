"""An optimizer wrapper keeps a slow copy of each weight, on the host, in its state."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Lookahead(torch.optim.SGD):
    def __init__(self, params, lr, every=4, alpha=0.5):
        super().__init__(params, lr=lr)
        self.every, self.alpha, self.turn = every, alpha, 0
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["slow"] = p.detach().cpu().clone()

    @torch.no_grad()
    def step(self, closure=None):
        super().step(closure)
        self.turn += 1
        if self.turn % self.every == 0:
            for group in self.param_groups:
                for p in group["params"]:
                    slow = self.state[p]["slow"]
                    slow.add_(p.cpu() - slow, alpha=self.alpha)
                    p.copy_(slow)  # expect: PA111 info


torch.manual_seed(146)
model = nn.Linear(12, 12).to(device)
optimizer = Lookahead(model.parameters(), lr=0.1)
for x in torch.randn(16, 5, 12):
    x = x.to(device)
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()  # expect: PA301
print(f"{loss.item():.4f}")
