"""Debug lines that nobody sees: the level is higher, but f-strings are built all the same."""
import logging

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
logger = logging.getLogger("debug_logging")
logger.setLevel(logging.WARNING)


class Loop:
    def __init__(self, model, optimizer):
        self.model, self.optimizer, self.step = model, optimizer, 0

    def __call__(self, batch):
        batch = batch.to(device)
        out = self.model(batch)
        loss = nn.functional.smooth_l1_loss(out, batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        logger.debug("step %d loss %.4f", self.step, loss)
        return loss


torch.manual_seed(346)
model = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 8)).to(device)
loop = Loop(model, torch.optim.Adam(model.parameters(), lr=1e-2))
for batch in torch.randn(12, 10, 8):
    loss = loop(batch)
print(f"{loss.item():.4f}")
