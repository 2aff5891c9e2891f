"""Style transfer: the style targets stay on the host and are uploaded by each closure call."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def gram(features):
    c = features.size(1)
    flat = features.view(c, -1)
    return flat @ flat.T / flat.numel()


class StyleLoss:
    def __init__(self, target):
        self.target = gram(target).detach().cpu()

    def __call__(self, features):
        return (gram(features) - self.target.to(features.device)).square().mean()  # expect: PA101


torch.manual_seed(161)
net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()).to(device).requires_grad_(False)
style = StyleLoss(net(torch.rand(1, 3, 8, 8).to(device)))
image = torch.rand(1, 3, 8, 8).to(device).requires_grad_(True)
optimizer = torch.optim.LBFGS([image], max_iter=2)


def closure():
    optimizer.zero_grad()
    loss = style(net(image))
    loss.backward()
    return loss


for _ in range(10):
    optimizer.step(closure)
print(f"{closure().item():.6f}")
