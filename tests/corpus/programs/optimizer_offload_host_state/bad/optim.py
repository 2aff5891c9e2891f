import torch
from torch.optim import Optimizer


class HostMomentum(Optimizer):
    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros(p.shape)
                buffer = state["momentum_buffer"]
                buffer.mul_(group["momentum"]).add_(p.grad.cpu())
                p.add_(buffer.to(p.device), alpha=-group["lr"])  # expect: PA111 info
