"""Learning-rate range test: the smoothed loss stays on the device until the end."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class RangeTest:
    def __init__(self, model, optimizer, start=1e-4, end=1.0, steps=16, beta=0.9):
        self.model, self.optimizer, self.beta = model, optimizer, beta
        self.start, self.factor = start, (end / start) ** (1 / steps)
        self.rates, self.losses = [], []

    def run(self, batches):
        average, rate = 0.0, self.start
        for step, (x, y) in enumerate(batches, 1):
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = nn.functional.mse_loss(self.model(x.to(device)), y.to(device))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            average = self.beta * average + (1 - self.beta) * loss.detach()
            self.losses.append(average / (1 - self.beta**step))
            self.rates.append(rate)
            rate *= self.factor

    def steepest(self):
        losses = torch.stack(self.losses).tolist()
        slopes = [b - a for a, b in zip(losses, losses[1:])]
        return self.rates[slopes.index(min(slopes))]


torch.manual_seed(308)
model = nn.Linear(8, 2).to(device)
finder = RangeTest(model, torch.optim.SGD(model.parameters(), lr=1e-4))
finder.run([(torch.randn(10, 8), torch.randn(10, 2)) for _ in range(16)])
print(f"suggested {finder.steepest():.5f}")
