import torch


class ExponentialMovingAverage:
    """Shadow weights for evaluation."""

    def __init__(self, model, decay=0.95):
        self.decay = decay
        self.shadow = {n: p.detach().clone() for n, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model):
        for name, p in model.named_parameters():
            self.shadow[name].lerp_(p.detach(), 1 - self.decay)

    def distance(self, model):
        return sum(
            (self.shadow[n].to(p.device) - p.detach()).abs().sum()
            for n, p in model.named_parameters()
        )
